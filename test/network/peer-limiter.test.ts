import { expect, it } from 'vitest'
import { ManualClock } from '../../src/base/index.ts'
import { PeerLimiter } from '../../src/network/peer-limiter.ts'

const limit = { perSecond: 1, burst: 4 }

it('a peer has its limit; its host that of eight, however many ids it shows', () => {
  const clock = new ManualClock()
  const limiter = new PeerLimiter({ clock }, limit)
  const taken = (host: string): number => {
    const tries = Array.from({ length: 100 }, (_, i) => limiter.take({ peer: `${host} ${i >> 1}`, host }, 2))
    return tries.filter(waitMs => waitMs === 0).length
  }
  expect([limiter.take({ peer: 'one', host: 'a' }, 4), limiter.take({ peer: 'one', host: 'a' })]).toEqual([0, 1_000])
  // 8 * 4, without the 4 that the first one has; two a time.
  expect([taken('a'), taken('b')]).toEqual([14, 16])
  clock.advance(1_000)
  expect(taken('a')).toBe(4)
})

it('who is refused pays nothing, neither itself nor its host', () => {
  const limiter = new PeerLimiter({ clock: new ManualClock() }, limit)
  for (let i = 0; i < 100; i++) expect(limiter.take({ peer: 'greedy', host: 'a' }, 5)).toBeGreaterThan(0)
  expect(limiter.wait({ peer: 'greedy', host: 'a' }, 4)).toBe(0)
  expect(limiter.wait({ peer: 'neighbour', host: 'a' }, 4)).toBe(0)
})
