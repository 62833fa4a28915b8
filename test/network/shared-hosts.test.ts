import type { PeerId } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { peerIdFromString } from '@libp2p/peer-id'
import { afterEach, describe, expect, it } from 'vitest'
import { ManualClock } from '../../src/base/index.ts'
import { AccessList } from '../../src/network/access-list.ts'
import { createCounters } from '../../src/network/counters.ts'
import { Gatekeeper } from '../../src/network/gatekeeper.ts'
import { createIdentity, type Network } from '../../src/network/index.ts'
import { sourceOf } from '../../src/network/peer-address.ts'
import { SharedHosts } from '../../src/network/shared-hosts.ts'
import { Cluster, echo, read, until } from './cluster.ts'

// Behind a proxy or a router all come from one address: told so, a node counts each of them for itself.

const cluster = new Cluster()
afterEach(() => cluster.close())

const ann = peerIdFromString((await createIdentity()).peerId)
const bob = peerIdFromString((await createIdentity()).peerId)
const sharedHosts = ['127.0.0.0/8']
const echoed = async (client: Network, server: Network): Promise<void> => {
  const stream = await client.openStream(server.addresses(), '/test/echo')
  const back = read(stream, 1)
  stream.send([new Uint8Array(1)])
  await back
}

describe('what comes from', () => {
  const shared = new SharedHosts(['198.51.100.7', '10.0.0.0/8', '2001:db8::/32'])
  const source = (address: string, remotePeer: PeerId): string =>
    shared.sourceOf({ remoteAddr: multiaddr(address), remotePeer })

  it.each(['/ip4/198.51.100.7/tcp/1', '/ip4/10.9.8.7/tcp/1', '/ip6/2001:db8::7/tcp/1', '/ip6/::ffff:10.1.2.3/tcp/1'])(
    '%s, which is shared, counts for each peer, wherever else that comes from',
    address => {
      expect(shared.has(address)).toBe(true)
      expect(source(address, ann)).not.toBe(source(address, bob))
      expect(source(address, ann)).toBe(source('/ip4/10.0.0.1/tcp/9', ann))
    }
  )

  it.each([
    '/ip4/198.51.100.8/tcp/1',
    '/ip4/11.0.0.1/tcp/1',
    '/ip6/2001:db9::7/tcp/1',
    '/dns4/proxy.example.org/tcp/1'
  ])('%s, which is not, counts for whoever is there', address => {
    expect(shared.has(address)).toBe(false)
    expect([source(address, ann), source(address, bob)]).toEqual([sourceOf(address), sourceOf(address)])
  })

  it('a relay at a shared address counts as from any relay', () => {
    const address = `/ip4/10.0.0.1/tcp/1/p2p/${ann.toString()}/p2p-circuit/p2p/${bob.toString()}`
    expect([shared.has(address), source(address, bob)]).toEqual([false, sourceOf(address)])
  })
})

describe('the gate, for a host that is shared,', () => {
  const gate = (share: number): { counters: ReturnType<typeof createCounters>; gatekeeper: Gatekeeper } => {
    const counters = createCounters()
    const components = {
      access: new AccessList(),
      shared: new SharedHosts(sharedHosts),
      clock: new ManualClock(),
      counters
    }
    const gatekeeper = new Gatekeeper(components, { dialLimit: { perSecond: 1, burst: 2 } })
    gatekeeper.isFullFrom = host => host === `/p2p/${bob.toString()}` && share === 0
    return { counters, gatekeeper }
  }
  const from = (host: string): never => ({ remoteAddr: multiaddr(`/ip4/${host}/tcp/1`) }) as never

  it('counts dials for each peer, once it is known, and before that for nobody; those of others as ever', () => {
    const { counters, gatekeeper } = gate(1)
    const before = (host: string): boolean[] =>
      Array.from({ length: 4 }, () => gatekeeper.denyInboundConnection(from(host)))
    expect([before('127.0.0.1'), before('8.8.8.8')]).toEqual([
      [false, false, false, false],
      [false, false, true, true]
    ])
    const after = (peer: PeerId, host: string): boolean[] =>
      Array.from({ length: 4 }, () => gatekeeper.denyInboundEncryptedConnection(peer, from(host)))
    expect([after(ann, '127.0.0.1'), after(bob, '127.0.0.2'), after(bob, '8.8.4.4')]).toEqual([
      [false, false, true, true],
      [false, false, true, true],
      [false, false, false, false]
    ])
    expect(counters.refusedByRate).toBe(6)
  })

  it('charges a peer whose connection was ended for its streams, and no other', () => {
    const { gatekeeper } = gate(1)
    gatekeeper.charge(
      new SharedHosts(sharedHosts).sourceOf({ ...(from('127.0.0.1') as object), remotePeer: ann } as never),
      16
    )
    expect(gatekeeper.denyInboundEncryptedConnection(ann, from('127.0.0.1'))).toBe(true)
    expect(gatekeeper.denyInboundEncryptedConnection(bob, from('127.0.0.1'))).toBe(false)
  })

  it('refuses a peer that has as many connections as one host may have, and lets others in', () => {
    const { counters, gatekeeper } = gate(0)
    expect(gatekeeper.denyInboundConnection(from('127.0.0.1'))).toBe(false)
    expect(gatekeeper.denyInboundEncryptedConnection(ann, from('127.0.0.1'))).toBe(false)
    expect(gatekeeper.denyInboundEncryptedConnection(bob, from('127.0.0.1'))).toBe(true)
    expect(counters.refusedByHost).toBe(1)
  })
})

describe('a node that is told of a shared host', () => {
  it('lets in more connections from there than one host may have, and of one peer no more', async () => {
    const server = await cluster.server({
      sharedHosts,
      limits: { connections: 1, dials: { perSecond: 0.001, burst: 1 } }
    })
    await server.handle('/test/echo', echo)
    for (let i = 0; i < 4; i++) await echoed(await cluster.client(), server)
    const identity = await createIdentity()
    await echoed(await cluster.client({ identity }), server)
    const again = await cluster.client({ identity })
    await expect(again.openStream(server.addresses(), '/test/echo')).rejects.toMatchObject({ retryable: true })
    expect([server.counters.connectionsOpen, server.counters.refusedByHost + server.counters.refusedByRate]).toEqual([
      5, 1
    ])
  })

  it('gives more requests than eight peers have to those behind it, and to each no more than before', async () => {
    const limits = { streams: { perSecond: 0.001, burst: 1 } }
    const servers = [await cluster.server({ limits }), await cluster.server({ limits, sharedHosts })]
    const clients = await Promise.all(Array.from({ length: 10 }, () => cluster.client()))
    const refused: number[] = []
    for (const server of servers) {
      await server.handle('/test/echo', echo)
      for (const client of clients) await echoed(client, server).catch(() => undefined)
      refused.push(server.counters.streamsOverCount)
    }
    expect(refused).toEqual([2, 0])
    const [[first], [, sharing]] = [clients, servers]
    if (first === undefined || sharing === undefined) throw new Error('both are there')
    await expect(echoed(first, sharing)).rejects.toMatchObject({ code: 'CONNECTION_LOST' })
    expect(sharing.counters.streamsOverCount).toBe(1)
  })

  it('relays for all who come from there', async () => {
    const relay = await cluster.server({ sharedHosts, relaying: { placesPerHost: 1 } })
    const relays = relay.addresses().slice(0, 1)
    const nodes = [await cluster.client({ relays }), await cluster.client({ relays })]
    await until(() => relay.relaying().places === 2)
    expect(nodes.map(node => node.relaying().relays)).toEqual([1, 1])
  })
})
