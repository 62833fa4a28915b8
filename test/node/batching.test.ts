import { expect, it } from 'vitest'
import { batchingPolicy } from '../../src/node/serve-sessions.ts'
import type { ServeSessionOptions } from '../../src/node/serve-options.ts'

const ready = (count: number) => Array.from({ length: count }, (_, slot) => ({ slot, since: slot }))

const cases: readonly { options: ServeSessionOptions; waits: number; runs: number }[] = [
  { options: {}, waits: 3, runs: 4 },
  { options: { minUtilisation: 0.5 }, waits: 1, runs: 2 },
  { options: { preferredBatch: [3, 4] }, waits: 2, runs: 3 }
]

it.each(cases.flatMap(row => (['direct', 'oldest'] as const).map(batching => ({ ...row, batching }))))(
  '$batching with $options: of four that decode, $waits wait and $runs run',
  ({ batching, options, waits, runs }) => {
    const policy = batchingPolicy({ batching, queueDelayMs: 7, ...options }, 4)
    expect(policy.queueDelayMs(100)).toBe(7)
    expect(policy.choose(ready(waits), 4 - waits, true)).toEqual([])
    expect(policy.choose(ready(runs), 4 - runs, true)).toHaveLength(runs)
    expect(policy.choose(ready(waits), 4 - waits, false), 'when the delay is over').toHaveLength(waits)
  }
)

it('a delay for which nothing is said is half of what a run takes, within bounds', () => {
  const { queueDelayMs } = batchingPolicy({}, 4)
  expect([0, 1, 10, 30, 1000].map(runMs => queueDelayMs(runMs))).toEqual([1, 1, 5, 15, 20])
})

it('a preferred batch that there are not enough rows for is a mistake', () => {
  expect(() => batchingPolicy({ preferredBatch: [4, 5] }, 4)).toThrow('--preferred-batch 5')
})
