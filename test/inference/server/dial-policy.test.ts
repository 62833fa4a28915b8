import { describe, expect, it } from 'vitest'
import { ManualClock } from '../../../src/base/index.ts'
import { type Asker, createIdentity } from '../../../src/network/index.ts'
import { DialPolicy } from '../../../src/inference/server/dial-policy.ts'

const policy = (own: string[], clock = new ManualClock(), connected: string[] = []): DialPolicy =>
  new DialPolicy({ clock, ownAddresses: () => own, isConnected: peerId => connected.includes(peerId) })

const { peerId: peer } = await createIdentity()
const { peerId: other } = await createIdentity()

const named = [
  '/ip4/127.0.0.1/tcp/1',
  '/ip4/10.0.0.1/tcp/1',
  '/ip4/169.254.169.254/tcp/80',
  '/ip4/8.8.8.8/tcp/1',
  '/ip6/::1/tcp/1',
  '/ip6/fd00::1/tcp/1',
  '/ip6/::ffff:a00:1/tcp/1',
  '/ip6/2001:4860:4860::8888/tcp/1',
  '/dns4/metadata.internal/tcp/80',
  '/dns4/example.com/tcp/443'
]

/** Each of its own host, unless told another. */
const by = (peer: string, host = `host of ${peer}`): Asker => ({ peer, host })
const at = (host: number): string[] => [`/ip4/10.0.0.${host}/tcp/1`]

describe('dialling for a client', () => {
  it('a public node dials public literal addresses only', () => {
    expect(
      named.flatMap(address => policy(['/ip4/10.0.0.9/tcp/1', '/ip4/1.1.1.1/tcp/1']).targets(peer, [address]))
    ).toEqual([`/ip4/8.8.8.8/tcp/1/p2p/${peer}`, `/ip6/2001:4860:4860::8888/tcp/1/p2p/${peer}`])
  })

  it('a node on loopback or in a private network dials what it is given', () => {
    const own = ['/ip4/127.0.0.1/tcp/1', '/ip4/10.0.0.9/tcp/1']
    expect(named.flatMap(address => policy(own).targets(peer, [address]))).toEqual(
      named.map(address => `${address}/p2p/${peer}`)
    )
  })

  it('nobody but the peer that was named is dialled for it', () => {
    const targets = policy(['/ip4/127.0.0.1/tcp/1']).targets(peer, [
      `/ip4/127.0.0.1/tcp/1/p2p/${other}`,
      `/ip4/127.0.0.1/tcp/2/p2p/${other}/p2p-circuit/p2p/${other}`,
      'nonsense',
      `/ip4/127.0.0.1/tcp/3/p2p/${peer}`
    ])
    expect(targets).toEqual([`/ip4/127.0.0.1/tcp/3/p2p/${peer}`])
  })

  it('relays are dialled where their own addresses would be', () => {
    const through = named.map(address => `${address}/p2p/${other}/p2p-circuit`)
    const whole = through.map(address => `${address}/p2p/${peer}`)
    const [open, closed] = [policy(['/ip4/10.0.0.9/tcp/1']), policy(['/ip4/1.1.1.1/tcp/1'])]
    expect(through.flatMap(address => open.targets(peer, [address]))).toEqual(whole)
    expect(through.flatMap(address => closed.targets(peer, [address]))).toEqual([whole[3], whole[7]])
    // A node that is reached through a public relay is a public one.
    const relayed = policy([`/ip4/1.1.1.1/tcp/1/p2p/${other}/p2p-circuit/p2p/${peer}`])
    expect(through.flatMap(address => relayed.targets(peer, [address]))).toEqual([whole[3], whole[7]])
  })

  it('looks at eight addresses of a peer', () => {
    const many = Array.from({ length: 100 }, (_, port) => `/ip4/127.0.0.1/tcp/${port + 1}`)
    expect(policy([]).targets(peer, many)).toHaveLength(8)
  })

  it('an owner has 32 dials, which come back over a minute; others are not concerned', () => {
    const clock = new ManualClock()
    const dials = policy([], clock)
    const spent = Array.from({ length: 40 }, () => dials.spend(by('ann'), peer, at(1))).filter(allowed => allowed)
    expect(spent).toHaveLength(32)
    expect([dials.spend(by('ann'), peer, at(1)), dials.spend(by('bob'), peer, at(1))]).toEqual([false, true])
    clock.advance(30_000)
    expect(
      Array.from({ length: 40 }, () => dials.spend(by('ann'), peer, at(1))).filter(allowed => allowed)
    ).toHaveLength(16)
  })

  it('owners of one host have as many dials as eight, and no more by other ids; other hosts are not concerned', () => {
    const dials = policy([])
    const spent = Array.from({ length: 400 }, (_, i) => dials.spend(by(`id ${i}`, 'one'), peer, at(i % 250)))
    expect(spent.filter(allowed => allowed)).toHaveLength(8 * 32)
    expect(dials.spend(by('bob', 'another'), peer, at(1))).toBe(true)
  })

  it('a peer that is connected is not dialled, and costs an owner nothing', () => {
    const dials = policy([], new ManualClock(), [other])
    const reached = Array.from({ length: 100 }, () => dials.spend(by('ann'), other, at(1)))
    expect(reached.every(allowed => allowed)).toBe(true)
    expect(
      Array.from({ length: 40 }, () => dials.spend(by('ann'), peer, at(1))).filter(allowed => allowed)
    ).toHaveLength(32)
  })

  it('a host has 64 dials, which come back over a minute, however many owners and peers are named', () => {
    const clock = new ManualClock()
    const dials = policy([], clock)
    const spent = (count: number, host: number): number =>
      Array.from({ length: count }, (_, i) => dials.spend(by(`owner ${i}`), peer, at(host))).filter(allowed => allowed)
        .length
    expect([spent(100, 1), spent(30, 2)]).toEqual([64, 30])
    clock.advance(15_000)
    expect(spent(100, 1)).toBe(16)
  })
})
