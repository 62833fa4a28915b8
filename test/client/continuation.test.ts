import { describe, expect, test } from 'vitest'
import { ManualClock } from '../../src/base/index.ts'
import { Continuation } from '../../src/client/continuation.ts'
import { TextStream } from '../../src/client/text-stream.ts'

const EOS = 9

/** A model that says 1, 2, 3, ...; `at` happens when it has said that many ids. */
function counting(signal: AbortSignal, at: Record<number, () => void> = {}) {
  let id = 0
  const say = (): Promise<number> => {
    id++
    at[id]?.()
    return Promise.resolve(id)
  }
  const shown: (number | null)[] = []
  const work = { signal, emit: ({ tokenId }: { tokenId: number | null }) => void shown.push(tokenId) }
  const decoder = { prefill: say, next: say }
  return { continuation: new Continuation(decoder, new TextStream(null, []), work, new ManualClock()), shown }
}

describe('a continuation', () => {
  test.each<[string, number, 'stop' | 'length', number]>([
    ['ends where the model ends it', 100, 'stop', 8],
    ['ends at its limit', 3, 'length', 3],
    ['of nothing asks nothing', 0, 'length', 0]
  ])('%s', async (_, limit, reason, tokens) => {
    const { continuation, shown } = counting(new AbortController().signal)
    expect(await continuation.run([5], limit, [EOS])).toBe(reason)
    expect(shown).toHaveLength(tokens)
    expect(continuation.emittedMs.length).toBe(reason === 'stop' ? tokens + 1 : tokens)
  })

  test.each([0, 1, 2, 3])('that is cancelled at token %i says so, and shows nothing after', async token => {
    const abort = new AbortController()
    const { continuation, shown } = counting(abort.signal, { [token]: () => abort.abort() })
    if (token === 0) abort.abort()
    expect(await continuation.run([5], 100, [EOS])).toBe('cancelled')
    await new Promise(resolve => setImmediate(resolve))
    expect(shown.length).toBeLessThan(Math.max(1, token))
  })
})
