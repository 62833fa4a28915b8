import { expect } from 'vitest'
import type { Ended } from '../cli/program.ts'

/** A program that failed said why: in one line on stderr, without a stack trace, with all of these in it. */
export function saysInOneLine({ status, err }: Ended, expected: number, says: readonly (string | RegExp)[]): void {
  expect(err).toMatch(/^error: [^\n]+\n$/)
  expect(err).not.toMatch(/\.[jt]s:\d+:\d+/)
  for (const words of says) expect(err).toMatch(words)
  expect(status).toBe(expected)
}
