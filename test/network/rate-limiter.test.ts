import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ManualClock } from '../../src/base/index.ts'
import { RateLimiter } from '../../src/network/rate-limiter.ts'

it('never gives more than the burst and what has flowed in since, and what it says to wait suffices', () => {
  const request = fc.record({ waitMs: fc.integer({ min: 0, max: 3_000 }), tokens: fc.integer({ min: 1, max: 5 }) })
  fc.assert(
    fc.property(fc.array(request, { maxLength: 50 }), requests => {
      const clock = new ManualClock()
      const limiter = new RateLimiter({ clock }, { perSecond: 2, burst: 5 })
      let given = 0
      for (const { waitMs, tokens } of requests) {
        clock.advance(waitMs)
        const wait = limiter.take('peer', tokens)
        if (wait > 0) {
          clock.advance(wait)
          expect(limiter.take('peer', tokens)).toBe(0)
        }
        given += tokens
        expect(given).toBeLessThanOrEqual(5 + (clock.now() * 2) / 1_000 + 1e-6)
      }
    })
  )
})

it('counts each key for itself', () => {
  const limiter = new RateLimiter({ clock: new ManualClock() }, { perSecond: 1, burst: 1 })
  expect([limiter.take('a'), limiter.take('a'), limiter.take('b')]).toEqual([0, 1_000, 0])
})

it('says how long to wait without taking anything', () => {
  const limiter = new RateLimiter({ clock: new ManualClock() }, { perSecond: 2, burst: 4 })
  expect([limiter.wait('a', 4), limiter.take('a', 3), limiter.wait('a', 1), limiter.wait('a', 2)]).toEqual([
    0, 0, 0, 500
  ])
  expect(limiter.take('a')).toBe(0)
})

it('charges what was done already: nothing is there until the debt has flowed in, which is a burst at most', () => {
  const clock = new ManualClock()
  const limiter = new RateLimiter({ clock }, { perSecond: 2, burst: 4 })
  expect([limiter.charge('a', 3), limiter.wait('a')]).toEqual([0, 0])
  expect([limiter.charge('a', 3), limiter.wait('a')]).toEqual([1_500, 1_500])
  expect(limiter.charge('a', 1_000)).toBe(2_500)
  clock.advance(2_500)
  expect([limiter.take('a'), limiter.take('a')]).toEqual([0, 500])
})
