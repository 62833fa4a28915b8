import { afterEach } from 'vitest'

// A test that fails where nobody can look says what its processes said: each of them is heeded from its start.

/** Of what a process wrote: enough for an error and what led to it. */
const keptCharacters = 6_000

const heeded = new Map<object, () => string>()

/**
 * Has what a process said printed with each test of this file that fails, until it is released.
 *
 * @param said what it is asked for then; the end of it is printed
 */
export function heed(name: string, said: () => string): () => void {
  const key = {}
  heeded.set(key, () => `--- ${name}\n${said().slice(-keptCharacters)}`)
  return () => void heeded.delete(key)
}

afterEach(({ task }) => {
  if (task.result?.state !== 'fail') return
  for (const report of heeded.values()) console.error(report())
})
