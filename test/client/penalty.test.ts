import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ManualClock } from '../../src/base/index.ts'
import { Penalty } from '../../src/client/penalty.ts'

const second = 1_000
const minute = 60 * second

function penaltyAt(random: () => number = () => 0.5) {
  const clock = new ManualClock()
  return { clock, penalty: new Penalty({ clock, random }) }
}

/** What may happen to a server: it is lost, or works, some time after what happened before. */
const history = fc.array(fc.record({ afterMs: fc.nat(20 * minute), what: fc.constantFrom('lost', 'worked') }), {
  maxLength: 60
})

function live(past: readonly { afterMs: number; what: string }[], random: () => number) {
  const { clock, penalty } = penaltyAt(random)
  for (const { afterMs, what } of past) {
    clock.advance(afterMs)
    if (what === 'lost') penalty.lost()
    else penalty.worked()
  }
  return { clock, penalty }
}

test('lost once it is tried at once, and then after twice as long each time, up to 8 s', () => {
  const { penalty } = penaltyAt()
  const waits = Array.from({ length: 9 }, () => {
    penalty.lost()
    return penalty.waitMs
  })
  expect(waits).toEqual([0, 250, 500, 1000, 2000, 4000, 8000, 8000, 8000])
})

test('clients that lost it together come back apart: the wait is a half more or less', () => {
  const waits = [0, 1].map(random => {
    const { penalty } = penaltyAt(() => random)
    for (let loss = 0; loss < 3; loss++) penalty.lost()
    return penalty.waitMs
  })
  expect(waits).toEqual([250, 750])
})

test('a loss is forgotten in a minute, or with eight passes of work', () => {
  const byTime = penaltyAt()
  byTime.penalty.lost()
  expect(byTime.penalty.suspicion).toBe(1)
  byTime.clock.advance(minute + second)
  expect(byTime.penalty.suspicion).toBe(0)

  const { penalty } = penaltyAt()
  penalty.lost()
  for (let done = 0; done < 9; done++) penalty.worked()
  expect(penalty.suspicion).toBe(0)
})

test('who works is not left alone, however often it was lost', () => {
  const { penalty } = penaltyAt()
  for (let loss = 0; loss < 5; loss++) penalty.lost()
  penalty.worked()
  expect(penalty.waitMs).toBe(0)
  expect(penalty.suspicion).toBeGreaterThan(0)
})

test('after any losses it is never left alone for long, and as good as any in four minutes and a bit', () => {
  fc.assert(
    fc.property(history, fc.double({ min: 0, max: 1, noNaN: true }), (past, random) => {
      const { clock, penalty } = live(past, () => random)
      expect(penalty.waitMs).toBeLessThanOrEqual(12 * second)
      clock.advance(12 * second)
      expect(penalty.waitMs, 'it may be asked again').toBe(0)
      clock.advance(4 * minute)
      expect(penalty.suspicion).toBe(0)
    })
  )
})

test('it is forgiven steadily: time and work only ever take from what is held against it', () => {
  const forgiving = fc.array(fc.oneof(fc.nat(minute), fc.constant('worked' as const)), { maxLength: 40 })
  fc.assert(
    fc.property(history, forgiving, (past, steps) => {
      const { clock, penalty } = live(past, () => 0.5)
      let before = { suspicion: penalty.suspicion, waitMs: penalty.waitMs }
      for (const step of steps) {
        if (step === 'worked') penalty.worked()
        else clock.advance(step)
        const { suspicion, waitMs } = penalty
        expect(suspicion).toBeLessThanOrEqual(before.suspicion)
        expect(waitMs).toBeLessThanOrEqual(before.waitMs)
        before = { suspicion, waitMs }
      }
    })
  )
})

test('of two with the same past, the one that was lost once more is not trusted more', () => {
  fc.assert(
    fc.property(history, past => {
      const [once, more] = [live(past, () => 0.5), live(past, () => 0.5)]
      more.penalty.lost()
      expect(more.penalty.suspicion).toBeGreaterThanOrEqual(once.penalty.suspicion)
      expect(more.penalty.waitMs).toBeGreaterThanOrEqual(once.penalty.waitMs)
    })
  )
})
