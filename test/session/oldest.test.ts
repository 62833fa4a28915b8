import { describe, expect, it } from 'vitest'
import { oldest, type Ready } from '../../src/session/index.ts'

const ready = (...slots: number[]): Ready[] => slots.map((slot, i) => ({ slot, since: i }))

describe('oldest', () => {
  it.each([
    { name: 'a preferred size runs at once', slots: [5, 1], expected: 1, mayWait: true, want: [5, 1] },
    {
      name: 'the largest preferred size that can be filled',
      slots: [5, 1, 2, 3, 4],
      expected: 0,
      mayWait: true,
      want: [5, 1, 2, 3]
    },
    { name: 'the oldest of three go as two', slots: [5, 1, 2], expected: 1, mayWait: true, want: [5, 1] },
    { name: 'short of it, it waits for those expected', slots: [5], expected: 1, mayWait: true, want: [] },
    { name: 'and goes alone when none is', slots: [5], expected: 0, mayWait: true, want: [5] },
    { name: 'or when the delay is over', slots: [5], expected: 1, mayWait: false, want: [5] }
  ])('$name', ({ slots, expected, mayWait, want }) => {
    const policy = oldest({ maxCandidates: 6, preferredBatch: [2, 4] })
    expect(policy.choose(ready(...slots), expected, mayWait).map(row => row.slot)).toEqual(want)
  })

  it.each([
    { expected: 1, minUtilisation: 1, runs: false },
    { expected: 2, minUtilisation: 0.5, runs: true },
    { expected: 3, minUtilisation: 0.5, runs: false },
    { expected: 9, minUtilisation: 0, runs: true }
  ])('with 2 ready and $expected expected, utilisation $minUtilisation: runs at once is $runs', row => {
    const policy = oldest({ minUtilisation: row.minUtilisation })
    expect(policy.choose(ready(0, 1), row.expected, true).length > 0).toBe(row.runs)
    expect(policy.choose(ready(0, 1), row.expected, false)).toHaveLength(2)
  })

  it('never more than the candidates', () => {
    expect(oldest({ maxCandidates: 2 }).choose(ready(0, 1, 2), 0, false)).toHaveLength(2)
  })
})
