import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { direct, oldest, Scheduler, type Work } from '../../src/session/index.ts'

const limits = fc.record(
  {
    minUtilisation: fc.double({ min: 0, max: 1, noNaN: true }),
    preferredBatch: fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 3 }),
    queueDelayMs: fc.integer({ min: 0, max: 1000 })
  },
  { requiredKeys: [] }
)
const steps = fc.array(fc.record({ tokens: fc.constantFrom(1, 1, 1, 40), gapMs: fc.nat(50), runMs: fc.nat(200) }), {
  minLength: 1,
  maxLength: 30
})

describe.each([
  ['direct', direct],
  ['oldest', oldest]
])('%s', (_, strategy) => {
  test('a session that is alone never waits for others, whatever the limits and however long runs take', () => {
    fc.assert(
      fc.property(limits, steps, (init, plan) => {
        const scheduler = new Scheduler<Work>({ policy: strategy(init), chunkTokens: 16 })
        let now = 0
        for (const { tokens, gapMs, runMs } of plan) {
          now += gapMs
          scheduler.add({ slot: 3, tokens }, now)
          for (let batch = scheduler.next(now); batch !== undefined; batch = scheduler.next(now)) {
            if (batch.kind === 'wait') throw new Error(`it waits until ${batch.until} at ${now}`)
            now += runMs
            scheduler.finished(batch, now)
          }
        }
      })
    )
  })

  test('by default it waits half a run for another one, and from 1 to 20 ms', () => {
    for (const [runMs, delayMs] of [
      [1, 1],
      [10, 5],
      [100, 20]
    ] as const) {
      const scheduler = new Scheduler<Work>({ policy: strategy(), chunkTokens: 16 })
      for (const slot of [0, 1]) scheduler.add({ slot, tokens: 1 }, 0)
      for (let batch = scheduler.next(0); batch !== undefined; batch = scheduler.next(0)) {
        if (batch.kind === 'wait') batch = scheduler.next(batch.until)!
        if (batch.kind !== 'wait') scheduler.finished(batch, runMs)
      }
      scheduler.add({ slot: 0, tokens: 1 }, runMs)
      expect(scheduler.next(runMs), `of ${runMs} ms`).toEqual({ kind: 'wait', until: runMs + delayMs })
      expect(scheduler.next(runMs + delayMs)).toMatchObject({ kind: 'decode' })
    }
  })
})
