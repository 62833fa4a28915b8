import { describe, expect, it } from 'vitest'
import { direct, type Ready } from '../../src/session/index.ts'

const ready = (...slots: number[]): Ready[] => slots.map((slot, i) => ({ slot, since: i }))
const chosen = (rows: readonly Ready[]): number[] => rows.map(row => row.slot)

describe('direct', () => {
  it.each([
    { name: 'all that are ready, in one window', slots: [2, 0, 1], maxGap: 4, want: [0, 1, 2] },
    { name: 'null rows in between are computed for nothing', slots: [0, 5], maxGap: 4, want: [0, 5] },
    { name: 'a wider gap splits; the oldest goes first', slots: [0, 6], maxGap: 4, want: [0] },
    { name: 'the oldest goes with its neighbours', slots: [9, 0, 1, 8], maxGap: 4, want: [8, 9] },
    { name: 'no gap at all', slots: [3, 1, 4], maxGap: 0, want: [3, 4] }
  ])('$name', ({ slots, maxGap, want }) => {
    expect(chosen(direct({ maxGap }).choose(ready(...slots), 0, false))).toEqual(want)
  })

  it.each([
    { slots: [0], runs: false },
    { slots: [0, 3], runs: true },
    { slots: [0, 3, 2], runs: true }
  ])('a preferred size of 2 or 4 runs at once, and all that are ready with it: $slots', ({ slots, runs }) => {
    const policy = direct({ preferredBatch: [4, 2] })
    expect(chosen(policy.choose(ready(...slots), 1, true))).toEqual(runs ? slots.toSorted() : [])
  })

  it.each([
    { expected: 0, minUtilisation: 1, runs: true },
    { expected: 1, minUtilisation: 1, runs: false },
    { expected: 2, minUtilisation: 0.5, runs: true },
    { expected: 3, minUtilisation: 0.5, runs: false }
  ])('with 2 ready and $expected expected, utilisation $minUtilisation: runs at once is $runs', row => {
    const policy = direct({ minUtilisation: row.minUtilisation })
    expect(policy.choose(ready(0, 1), row.expected, true).length > 0).toBe(row.runs)
    expect(policy.choose(ready(0, 1), row.expected, false)).toHaveLength(2)
  })
})
