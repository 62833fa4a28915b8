import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  createIdentity,
  parseDialAddress,
  parseListenAddress,
  parsePeerAddress,
  relayOf,
  scopeOf
} from '../../src/network/index.ts'
import { byReach, networkOf, parseRelayAddress, provesReach, throughRelay } from '../../src/network/peer-address.ts'

const { peerId } = await createIdentity()
const { peerId: other } = await createIdentity()
const usage = (text: string) =>
  expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(`"${text}"`) })

describe('parsePeerAddress', () => {
  it.each(['/ip4/127.0.0.1/tcp/1', '/ip6/::1/tcp/31226', '/dns4/example.org/tcp/443'])('takes %s', place => {
    expect(parsePeerAddress(`${place}/p2p/${peerId}`)).toEqual({ peerId, address: `${place}/p2p/${peerId}` })
  })

  it.each([
    '',
    'example.org:31226',
    '/ip4/127.0.0.1/tcp/1',
    `/p2p/${peerId}`,
    `/ip4/127.0.0.1/udp/1/p2p/${peerId}`,
    `/ip4/300.0.0.1/tcp/1/p2p/${peerId}`,
    `/ip4/127.0.0.1/tcp/70000/p2p/${peerId}`,
    '/ip4/127.0.0.1/tcp/1/p2p/nobody'
  ])('refuses %j, and says so', text => {
    expect(() => parsePeerAddress(text)).toThrow(usage(text))
  })

  it('refuses any other text with a UsageError', () => {
    fc.assert(
      fc.property(fc.string(), text => {
        expect(() => parsePeerAddress(text)).toThrow(expect.objectContaining({ code: 'USAGE' }))
      })
    )
  })
})

describe('parseDialAddress', () => {
  it('takes addresses with and without a peer id', () => {
    const place = '/dns4/node-a/tcp/31226'
    expect(parseDialAddress(place)).toEqual({ peerId: undefined, address: place })
    expect(parseDialAddress(`${place}/p2p/${peerId}`)).toEqual({ peerId, address: `${place}/p2p/${peerId}` })
  })

  it.each(['/dns4/node-a', '/ip4/127.0.0.1/udp/1', '/ip4/127.0.0.1/tcp/1/p2p/nobody', `/p2p/${peerId}`, 'node-a:1'])(
    'refuses %s',
    text => expect(() => parseDialAddress(text)).toThrow(usage(text))
  )
})

describe('an address through a relay', () => {
  const relay = `/ip4/10.0.0.1/tcp/1/p2p/${peerId}`
  const behind = throughRelay(relay, other)

  it('is of the peer behind the relay, and reaches as far as the relay', () => {
    expect(parsePeerAddress(behind)).toEqual({ peerId: other, address: `${relay}/p2p-circuit/p2p/${other}` })
    expect([relayOf(behind), relayOf(relay), scopeOf(behind)]).toEqual([relay, undefined, 'private'])
  })

  it.each([
    `/ip4/10.0.0.1/tcp/1/p2p-circuit/p2p/${other}`,
    `${relay}/p2p-circuit`,
    `${behind}/p2p-circuit/p2p/${peerId}`,
    `${relay}/p2p-circuit/ip4/10.0.0.2/tcp/22/p2p/${other}`,
    `${relay}/p2p/${other}`,
    `/p2p/${peerId}/p2p-circuit/p2p/${other}`,
    `/ip4/10.0.0.1/tcp/1/ws/p2p/${other}`
  ])('is not %s', text => expect(() => parsePeerAddress(text)).toThrow(usage(text)))

  it('names no relay to be reached through: that has an address of its own', () => {
    expect(parseRelayAddress(relay)).toEqual({ peerId, address: relay })
    expect(() => parseRelayAddress(behind)).toThrow(usage(behind))
  })

  it('comes after direct ones that reach as far', () => {
    const addresses = [behind, '/ip4/10.0.0.9/tcp/1', '/ip4/8.8.8.8/tcp/1', '/ip4/127.0.0.1/tcp/1']
    expect(byReach(addresses)).toEqual([addresses[2], addresses[1], behind, addresses[3]])
  })
})

describe('parseListenAddress', () => {
  it.each(['/ip4/0.0.0.0/tcp/0', '/ip6/::/tcp/31226'])('takes %s', text => {
    expect(parseListenAddress(text)).toBe(text)
  })

  it.each(['/dns4/example.org/tcp/1', `/ip4/127.0.0.1/tcp/1/p2p/${peerId}`, '/ip4/1.2.3.4', '31226'])(
    'refuses %s',
    text => expect(() => parseListenAddress(text)).toThrow(usage(text))
  )
})

it.each([
  ['/ip4/8.8.8.8/tcp/1', true],
  ['/ip6/2606:4700::1/tcp/1', true],
  ['/ip4/10.0.0.1/tcp/1', false],
  ['/ip4/127.0.0.1/tcp/1', false],
  [throughRelay(`/ip4/8.8.8.8/tcp/1/p2p/${peerId}`, other), false]
])('who came from %s shows that this node can be dialled from outside: %s', (from, proves) => {
  expect(provesReach(from)).toBe(proves)
})

describe('scopeOf', () => {
  it.each([
    ['/ip4/8.8.8.8/tcp/1', 'public'],
    ['/ip4/172.15.0.1/tcp/1', 'public'],
    ['/ip4/172.16.0.1/tcp/1', 'private'],
    ['/ip4/10.0.0.1/tcp/1', 'private'],
    ['/ip4/192.168.1.1/tcp/1', 'private'],
    ['/ip4/169.254.169.254/tcp/80', 'private'],
    ['/ip4/100.64.0.1/tcp/1', 'private'],
    ['/ip4/0.0.0.0/tcp/1', 'private'],
    ['/ip4/127.8.0.1/tcp/1', 'loopback'],
    ['/ip6/::1/tcp/1', 'loopback'],
    ['/ip6/::ffff:127.0.0.1/tcp/1', 'loopback'],
    ['/ip6/::ffff:10.0.0.1/tcp/1', 'private'],
    ['/ip6/::/tcp/1', 'private'],
    ['/ip6/fe80::1/tcp/1', 'private'],
    ['/ip6/fd00::1/tcp/1', 'private'],
    ['/ip6/2001:db8::1/tcp/1', 'private'],
    ['/ip6/64:ff9b::a00:1/tcp/1', 'private'],
    ['/ip6/2606:4700::1/tcp/1', 'public'],
    ['/dns4/example.org/tcp/1', 'public'],
    ['/dns4/localhost/tcp/1', 'loopback']
  ])('says of %s: %s', (address, scope) => {
    expect(scopeOf(address)).toBe(scope)
  })

  it('orders addresses by how far they reach, otherwise as given', () => {
    const addresses = ['/ip4/127.0.0.1/tcp/1', '/ip4/10.0.0.2/tcp/1', '/ip4/8.8.8.8/tcp/1', '/ip4/10.0.0.1/tcp/1']
    expect(byReach(addresses)).toEqual([addresses[2], addresses[1], addresses[3], addresses[0]])
  })
})

describe('networkOf', () => {
  it.each([
    ['203.0.113.7', '203.0.113.7'],
    ['2600:1:2:3:4:5:6:7', '2600:1:2:3::/64'],
    ['2600:0001:2:3::7', '2600:1:2:3::/64'],
    ['2600::1', '2600:0:0:0::/64'],
    ['2600:1:2:3::', '2600:1:2:3::/64'],
    ['::1', '::1'],
    ['fd00:1:2:3::7', 'fd00:1:2:3::7'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
    ['::ffff:8.8.8.8', '::ffff:8.8.8.8']
  ])('of %s is %s', (host, network) => {
    expect(networkOf(host)).toBe(network)
  })
})
