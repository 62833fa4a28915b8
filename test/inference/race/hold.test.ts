import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Hold } from '../../../src/inference/race/hold.ts'
import type { PushArrival } from '../../../src/inference/race/race-types.ts'

const pushOf = (epoch: number, step: number, bytes = 1): PushArrival<string> => ({
  epoch,
  step,
  position: step,
  n: 1,
  digest: new Uint8Array(),
  input: `${epoch}/${step}`,
  bytes,
  receipt: { statement: new Uint8Array(), signature: new Uint8Array() }
})

const hold = (): Hold<string> => new Hold<string>({ maxSteps: 3, maxBytes: 10, holdMs: 100 })

describe('the hold', () => {
  it('gives a push to its step once, with the time at which it came', () => {
    const held = hold()
    held.add(pushOf(0, 1), 5)
    expect(held.take(0, 0)).toBeUndefined()
    expect(held.take(0, 1)).toMatchObject({ arrivedAt: 5, push: { input: '0/1' } })
    expect([held.take(0, 1), held.deadline]).toEqual([undefined, null])
  })

  it('finds a push by its receipt, and by no equal one', () => {
    const held = hold()
    const push = pushOf(0, 1)
    held.add(push, 0)
    expect(held.takeWith(pushOf(0, 1).receipt)).toBeUndefined()
    expect(held.takeWith(push.receipt)).toBe(push)
  })

  it('lets go of what is too old, and of earlier epochs', () => {
    const held = hold()
    held.add(pushOf(0, 0), 0)
    held.add(pushOf(1, 0), 50)
    expect(held.deadline).toBe(100)
    expect(held.takeExpired(99)).toEqual([])
    expect(held.takeExpired(100).map(({ input }) => input)).toEqual(['0/0'])
    expect(held.deadline).toBe(150)
    expect(held.takeBefore(1)).toEqual([])
    expect(held.takeBefore(2).map(({ input }) => input)).toEqual(['1/0'])
  })

  it('never holds more than its caps, nor one step twice, and loses nothing', () => {
    const arrivals = fc.array(fc.tuple(fc.nat({ max: 1 }), fc.nat({ max: 4 }), fc.nat({ max: 6 })))
    fc.assert(
      fc.property(arrivals, all => {
        const held = hold()
        const kept = all
          .map(([epoch, step, bytes]) => pushOf(epoch, step, bytes))
          .filter(push => held.add(push, 0) === 'held')
        expect(kept.length).toBeLessThanOrEqual(3)
        expect(kept.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(10)
        expect(new Set(kept.map(({ input }) => input)).size).toBe(kept.length)
        expect(held.takeAll()).toEqual(kept)
        expect(held.takeAll()).toEqual([])
      })
    )
  })
})
