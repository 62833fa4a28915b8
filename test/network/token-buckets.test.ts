import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { ManualClock } from '../../src/base/index.ts'
import { PeerLimiter } from '../../src/network/peer-limiter.ts'
import { RateLimiter } from '../../src/network/rate-limiter.ts'
import type { RateLimit } from '../../src/network/token-buckets.ts'

/** A bucket as it is told: what flows in between two calls is counted at the second. */
class Model {
  readonly buckets = new Map<string, { tokens: number; at: number }>()
  readonly limit: RateLimit
  readonly clock: ManualClock

  constructor(limit: RateLimit, clock: ManualClock) {
    this.limit = limit
    this.clock = clock
  }

  there(key: string): number {
    const { tokens, at } = this.buckets.get(key) ?? { tokens: this.limit.burst, at: this.clock.now() }
    return Math.min(this.limit.burst, tokens + ((this.clock.now() - at) * this.limit.perSecond) / 1_000)
  }

  wait(key: string, tokens: number): number {
    return Math.max(0, Math.ceil(((tokens - this.there(key)) * 1_000) / this.limit.perSecond))
  }

  take(key: string, tokens: number): number {
    const waitMs = this.wait(key, tokens)
    this.buckets.set(key, { tokens: this.there(key) - (waitMs > 0 ? 0 : tokens), at: this.clock.now() })
    return waitMs
  }

  charge(key: string, tokens: number): number {
    const left = Math.max(-this.limit.burst, this.there(key) - tokens)
    this.buckets.set(key, { tokens: left, at: this.clock.now() })
    return this.wait(key, 1)
  }
}

const limits = fc.record({
  perSecond: fc.double({ min: 0.1, max: 100, noNaN: true }),
  burst: fc.integer({ min: 1, max: 20 })
})
const step = fc.record({
  afterMs: fc.double({ min: 0, max: 2_000, noNaN: true }),
  what: fc.constantFrom('take', 'take', 'wait', 'charge'),
  peer: fc.constantFrom('ann', 'bob', 'eve'),
  host: fc.constantFrom('one', 'two'),
  tokens: fc.double({ min: 0.125, max: 30, noNaN: true })
})
const steps = fc.array(step, { maxLength: 60 })

describe('buckets that are changed in place', () => {
  it('say, at every step of any schedule, what those say that are made anew each time', () => {
    fc.assert(
      fc.property(limits, steps, (limit, schedule) => {
        const clock = new ManualClock()
        const limiter = new RateLimiter({ clock }, limit)
        const model = new Model(limit, clock)
        for (const { afterMs, what, peer, tokens } of schedule) {
          clock.advance(afterMs)
          const call = what
          expect(limiter[call](peer, tokens)).toBe(model[call](peer, tokens))
        }
      })
    )
  })

  it('of a peer and its host are both taken from, or neither, as where each is asked first', () => {
    fc.assert(
      fc.property(limits, steps, (limit, schedule) => {
        const clock = new ManualClock()
        const limiter = new PeerLimiter({ clock }, limit)
        const peers = new Model(limit, clock)
        const hosts = new Model({ perSecond: 8 * limit.perSecond, burst: 8 * limit.burst }, clock)
        for (const { afterMs, what, peer, host, tokens } of schedule) {
          clock.advance(afterMs)
          const waitMs = Math.max(peers.wait(peer, tokens), hosts.wait(host, tokens))
          if (what === 'wait') expect(limiter.wait({ peer, host }, tokens)).toBe(waitMs)
          else {
            expect(limiter.take({ peer, host }, tokens)).toBe(waitMs)
            if (waitMs === 0) peers.take(peer, tokens)
            if (waitMs === 0) hosts.take(host, tokens)
          }
        }
      })
    )
  })

  it('are found by one look-up each, and by one look at the clock; nothing is moved', () => {
    const clock = new ManualClock()
    const limiter = new PeerLimiter({ clock }, { perSecond: 1, burst: 100 })
    const asker = { peer: 'ann', host: 'one' }
    limiter.take(asker)
    const calls = [vi.spyOn(Map.prototype, 'get'), vi.spyOn(Map.prototype, 'set'), vi.spyOn(Map.prototype, 'delete')]
    const now = vi.spyOn(clock, 'now')
    const taken = limiter.take(asker)
    const counts = [...calls, now].map(spy => spy.mock.calls.length)
    vi.restoreAllMocks()
    expect([taken, ...counts]).toEqual([0, 2, 0, 0, 1])
  })
})

describe('keys without end', () => {
  const names = (count: number, kind: string): string[] => Array.from({ length: count }, (_, i) => `${kind} ${i}`)

  it('are forgotten, those first that were unused longest; the last thousands are not', () => {
    const limiter = new RateLimiter({ clock: new ManualClock() }, { perSecond: 1, burst: 1 })
    limiter.take('busy')
    limiter.take('gone')
    for (const name of names(20_000, 'stranger')) {
      limiter.take(name)
      expect(limiter.wait('busy')).toBe(1_000)
    }
    expect(limiter.wait('gone')).toBe(0)
    // Whoever came when there was just room, and whoever came when there was none, is known for as many that follow.
    for (const start of [0, 1, 2_000, 4_094, 4_095, 4_096]) {
      for (const name of names(start, `before ${start}`)) limiter.take(name)
      limiter.take(`kept ${start}`)
      for (const name of names(4_095, `after ${start}`)) limiter.take(name)
      expect(limiter.wait(`kept ${start}`)).toBe(1_000)
    }
  })

  it('of a host that is over its limit make nobody forgotten', () => {
    const limiter = new PeerLimiter({ clock: new ManualClock() }, { perSecond: 1, burst: 1 })
    expect(limiter.take({ peer: 'ann', host: 'one' })).toBe(0)
    const given = names(20_000, 'id').filter(peer => limiter.take({ peer, host: 'loud' }) === 0)
    expect(given).toHaveLength(8)
    expect(limiter.take({ peer: 'ann', host: 'one' })).toBe(1_000)
  })
})
