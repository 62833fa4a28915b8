import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ManualClock } from '../../../src/base/index.ts'
import { type Asker, createIdentity } from '../../../src/network/index.ts'
import { DialPolicy } from '../../../src/inference/server/dial-policy.ts'

const policy = (
  own: string[],
  clock = new ManualClock(),
  { connected = [], answered = [] }: { connected?: string[]; answered?: string[] } = {}
): DialPolicy =>
  new DialPolicy({
    clock,
    ownAddresses: () => own,
    isConnected: peerId => connected.includes(peerId),
    hasAnswered: address => answered.includes(address)
  })

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
/** How many of so many dials are granted. */
const granted = (
  dials: DialPolicy,
  count: number,
  asker: (i: number) => Asker,
  to: (i: number) => string[] = () => at(1)
): number =>
  Array.from({ length: count }, (_, i) => dials.spend(asker(i), peer, to(i))).filter(some => some.length > 0).length

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
    expect(granted(dials, 40, () => by('ann'))).toBe(32)
    expect([granted(dials, 1, () => by('ann')), granted(dials, 1, () => by('bob'))]).toEqual([0, 1])
    clock.advance(30_000)
    expect(granted(dials, 40, () => by('ann'))).toBe(16)
  })

  it('owners of one host have as many dials as eight, and no more by other ids; other hosts are not concerned', () => {
    const dials = policy([])
    const one = (i: number): Asker => by(`id ${i}`, 'one')
    expect(granted(dials, 400, one, i => at(i % 250))).toBe(8 * 32)
    expect(granted(dials, 1, () => by('bob', 'another'))).toBe(1)
  })

  it('a peer that is connected is not dialled, and costs an owner nothing', () => {
    const dials = policy([], new ManualClock(), { connected: [other] })
    for (let i = 0; i < 100; i++) expect(dials.spend(by('ann'), other, at(1))).toEqual(at(1))
    expect(granted(dials, 40, () => by('ann'))).toBe(32)
  })

  it('a host has 64 dials, which come back over a minute, however many owners and peers are named', () => {
    const clock = new ManualClock()
    const dials = policy([], clock)
    const anybody = (i: number): Asker => by(`owner ${i}`)
    expect([granted(dials, 100, anybody, () => at(1)), granted(dials, 30, anybody, () => at(2))]).toEqual([64, 30])
    clock.advance(15_000)
    expect(granted(dials, 100, anybody)).toBe(16)
  })

  it('of these the owners of one public host have half; those of a private one, which may stand for many, have all', () => {
    for (const [host, most] of [
      ['8.8.8.8', 32],
      ['10.1.2.3', 64]
    ] as const) {
      const dials = policy([])
      expect(granted(dials, 100, i => by(`id ${i}`, host))).toBe(most)
      expect(granted(dials, 100, i => by(`id ${i}`, '8.8.4.4'))).toBe(64 - most)
    }
  })

  it('is refused what is used up, and dialled at its other addresses; who is refused pays nothing', () => {
    const dials = policy([])
    granted(dials, 64, i => by(`owner ${i}`))
    const both = [...at(1), ...at(2)]
    expect(dials.spend(by('ann'), peer, both)).toEqual(at(2))
    for (let i = 0; i < 100; i++) expect(dials.spend(by('ann'), peer, at(1))).toEqual([])
    expect(
      granted(
        dials,
        40,
        () => by('ann'),
        () => at(2)
      )
    ).toBe(31)
  })
})

describe('strangers who want a session to lose its next server', () => {
  const place = fc.integer({ min: 1, max: 3 })
  const stranger = fc.record({
    waitMs: fc.integer({ min: 0, max: 1_000 }),
    times: fc.integer({ min: 1, max: 40 }),
    id: fc.nat(5),
    host: fc.constantFrom('8.8.8.8', '10.0.0.1', '127.0.0.1', '2001:4860::/64', '/p2p/mallory'),
    named: fc.constantFrom(peer, other),
    places: fc.array(place, { minLength: 1, maxLength: 3 })
  })
  const [mine = ''] = at(1)

  it('cannot, where it has answered before, whatever they name and however many they are', () => {
    fc.assert(
      fc.property(fc.array(stranger, { maxLength: 40 }), schedule => {
        const clock = new ManualClock()
        const dials = policy([], clock, { answered: [mine] })
        let spentAt: number[] = []
        for (const { waitMs, times, id, host, named, places } of schedule) {
          clock.advance(waitMs)
          for (let i = 0; i < times; i++) dials.spend(by(`stranger ${id} ${i}`, host), named, places.flatMap(at))
          // Of its own allowance it asks for half.
          spentAt = spentAt.filter(then => then > clock.now() - 60_000)
          if (spentAt.length === 16) continue
          spentAt.push(clock.now())
          expect(dials.spend(by('ann', '9.9.9.9'), peer, [mine])).toEqual([mine])
        }
      })
    )
  })

  it('from one public host leave half of the dials of any other, whatever ids they show and for however long', () => {
    fc.assert(
      fc.property(fc.array(stranger, { maxLength: 40 }), schedule => {
        const clock = new ManualClock()
        const dials = policy([], clock)
        let taken = 0
        for (const { waitMs, times, id, named, places } of schedule) {
          clock.advance(waitMs)
          const targets = [...new Set(places)].flatMap(at)
          for (let i = 0; i < times; i++)
            taken += Number(dials.spend(by(`stranger ${id} ${i}`, '8.8.8.8'), named, targets).includes(mine))
        }
        expect(taken).toBeLessThanOrEqual(32 + (clock.now() * 32) / 60_000)
        expect(granted(dials, 100, () => by('ann', '9.9.9.9'))).toBeGreaterThanOrEqual(32)
      })
    )
  })
})
