import { describe, expect, it } from 'vitest'
import { ManualClock } from '../../../src/base/index.ts'
import { DialPolicy } from '../../../src/inference/server/dial-policy.ts'

const policy = (own: string[], clock = new ManualClock()): DialPolicy =>
  new DialPolicy({ clock, ownAddresses: () => own })

const named = [
  '/ip4/127.0.0.1/tcp/1',
  '/ip4/10.0.0.1/tcp/1',
  '/ip4/169.254.169.254/tcp/80',
  '/ip4/8.8.8.8/tcp/1',
  '/ip6/::1/tcp/1',
  '/ip6/fd00::1/tcp/1',
  '/ip6/::ffff:10.0.0.1/tcp/1',
  '/ip6/2001:4860:4860::8888/tcp/1',
  '/dns4/metadata.internal/tcp/80',
  '/dns4/example.com/tcp/443'
]

describe('dialling for a client', () => {
  it('a public node dials public literal addresses only', () => {
    expect(policy(['/ip4/10.0.0.9/tcp/1', '/ip4/1.1.1.1/tcp/1']).allowed(named)).toEqual([
      '/ip4/8.8.8.8/tcp/1',
      '/ip6/2001:4860:4860::8888/tcp/1'
    ])
  })

  it('a node on loopback or in a private network dials what it is given', () => {
    expect(policy(['/ip4/127.0.0.1/tcp/1', '/ip4/10.0.0.9/tcp/1']).allowed(named)).toEqual(named)
  })

  it('an owner has 32 dials, which come back over a minute; others are not concerned', () => {
    const clock = new ManualClock()
    const dials = policy([], clock)
    const spent = Array.from({ length: 40 }, () => dials.spend('ann')).filter(allowed => allowed)
    expect(spent).toHaveLength(32)
    expect([dials.spend('ann'), dials.spend('bob')]).toEqual([false, true])
    clock.advance(30_000)
    expect(Array.from({ length: 40 }, () => dials.spend('ann')).filter(allowed => allowed)).toHaveLength(16)
  })
})
