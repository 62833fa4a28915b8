import { multiaddr } from '@multiformats/multiaddr'
import { peerIdFromString } from '@libp2p/peer-id'
import { afterEach, describe, expect, it } from 'vitest'
import { ManualClock } from '../../src/base/index.ts'
import { createIdentity, type Network, type NetworkInit } from '../../src/network/index.ts'
import { AccessList } from '../../src/network/access-list.ts'
import { createCounters } from '../../src/network/counters.ts'
import { Gatekeeper } from '../../src/network/gatekeeper.ts'
import { shareOfHost, sourceOf } from '../../src/network/peer-address.ts'
import { RelayShares } from '../../src/network/relay-shares.ts'
import { SharedHosts } from '../../src/network/shared-hosts.ts'
import { Cluster, echo, read, until } from './cluster.ts'

// One host with as many ids as it likes: it gets its share, and the rest is there for others.

const cluster = new Cluster()
afterEach(() => cluster.close())

const addressOf = (network: Network): string => network.addresses()[0] ?? ''
const hidden = (relay: Network, init: Partial<NetworkInit> = {}): Promise<Network> =>
  cluster.client({ relays: [addressOf(relay)], ...init })
const ids = async (count: number): Promise<string[]> =>
  Promise.all(Array.from({ length: count }, async () => (await createIdentity()).peerId))

describe('the share of a host', () => {
  it.each([
    ['/ip4/8.8.8.8/tcp/1', 512, 128],
    ['/ip6/2001:4860:4860::8888/tcp/1', 512, 128],
    // Few in all, and behind one router there may be some.
    ['/ip4/8.8.8.8/tcp/1', 20, 16],
    ['/ip4/8.8.8.8/tcp/1', 8, 8],
    // A laboratory, or a proxy that stands for everybody.
    ['/ip4/127.0.0.1/tcp/1', 512, 512],
    ['/ip4/10.1.2.3/tcp/1', 512, 512],
    ['/ip6/fd00::1/tcp/1', 512, 512]
  ])('of %s, where there are %i connections, is %i', (address, most, share) => {
    expect(shareOfHost(sourceOf(address), most, 16)).toBe(share)
  })

  it('is one for a whole /64, and for each peer that comes through a relay', async () => {
    const [relay = '', ann = '', bob = ''] = await ids(3)
    const through = (peer: string): string => `/ip4/8.8.8.8/tcp/1/p2p/${relay}/p2p-circuit/p2p/${peer}`
    expect(sourceOf('/ip6/2001:4860::1/tcp/1')).toBe(sourceOf(`/ip6/2001:4860::2/tcp/7/p2p/${ann}`))
    expect(sourceOf(through(ann))).not.toBe(sourceOf(through(bob)))
  })
})

describe('connections', () => {
  it('of one host are refused beyond its share, whoever it says to be, and are let in as others go', async () => {
    const server = await cluster.server({ limits: { connections: 3 } })
    await server.handle('/test/echo', echo)
    const crowd = await Promise.all(Array.from({ length: 8 }, () => cluster.client()))
    const tries = await Promise.allSettled(crowd.map(one => one.openStream(server.addresses(), '/test/echo')))
    const streams = tries.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
    await until(() => server.counters.connectionsOpen === 3)
    expect([streams.length, server.counters.refusedByHost, server.counters.refusedFull]).toEqual([3, 5, 0])
    await expect((await cluster.client()).connect(server.addresses())).rejects.toMatchObject({ reason: 'closed' })
    await streams[0]?.close()
    await until(() => server.counters.streamsOpen === 2)
    const stream = await (await cluster.client()).openStream(server.addresses(), '/test/echo')
    const back = read(stream, 1)
    stream.send([new Uint8Array(1)])
    await back
  })

  it('are refused before their handshakes; those through a relay are the relay’s to bound', () => {
    const counters = createCounters()
    const gatekeeper = new Gatekeeper(
      { access: new AccessList(), shared: new SharedHosts(), clock: new ManualClock(), counters },
      { dialLimit: { perSecond: 9, burst: 9 } }
    )
    gatekeeper.isFullFrom = host => host === '8.8.8.8'
    const relay = '12D3KooWGzBXRhTGyFMxs8jFZZ5EcPaEMvRNVhRQNkdJQC8hmVbV'
    const denies = (address: string): boolean =>
      gatekeeper.denyInboundConnection({ remoteAddr: multiaddr(address) } as never)
    expect(denies('/ip4/8.8.8.8/tcp/1')).toBe(true)
    expect(denies('/ip4/8.8.4.4/tcp/1')).toBe(false)
    expect(denies(`/ip4/8.8.8.8/tcp/1/p2p/${relay}/p2p-circuit/p2p/${relay}`)).toBe(false)
    expect(counters.refusedByHost).toBe(1)
  })
})

describe('a relay', () => {
  it('has places for so many nodes of one host, is told so, and gives one that is free again to the next', async () => {
    const relay = await cluster.server({ relaying: { placesPerHost: 2 } })
    const first = await hidden(relay)
    await hidden(relay)
    const third = await hidden(relay)
    expect([third.relaying().relays, relay.relaying().places]).toEqual([0, 2])
    expect(relay.counters.relayPlacesRefused).toBe(1)
    await first.close()
    await until(() => third.relaying().relays === 1)
    expect(relay.relaying().places).toBe(2)
  })

  it('without flags serves a laboratory of sixteen nodes on one machine', async () => {
    const relay = await cluster.server({ relaying: {} })
    const nodes = await Promise.all(
      Array.from({ length: 16 }, () => hidden(relay, { listen: ['/ip4/127.0.0.1/tcp/0'] }))
    )
    // All at once they share the time that a handshake may take, and some may have to ask again.
    await until(() => nodes.every(node => node.relaying().relays === 1))
    const [target] = nodes
    const timeoutMs = 60_000
    await Promise.all(nodes.slice(1).map(node => node.connect(addressOf(target as Network), { timeoutMs })))
    expect([relay.counters.relayPlacesRefused, target?.counters.refusedByHost]).toEqual([0, 0])
  })

  it('passes on so many connections of one host, however many connections and ids it asks by', async () => {
    const peers = (await ids(3)).map(id => peerIdFromString(id))
    const hop = { protocol: '/libp2p/circuit/relay/0.2.0/hop', direction: 'inbound' }
    const other = { protocol: '/test/echo', direction: 'inbound' }
    const connections = [
      { remotePeer: peers[0], remoteAddr: multiaddr('/ip4/8.8.8.8/tcp/1'), streams: [hop, hop, other] },
      { remotePeer: peers[1], remoteAddr: multiaddr('/ip4/8.8.8.8/tcp/2'), streams: [hop] },
      { remotePeer: peers[2], remoteAddr: multiaddr('/ip4/8.8.4.4/tcp/2'), streams: [hop] }
    ]
    const libp2p = {
      getConnections: (peer?: unknown) => connections.filter(one => peer === undefined || one.remotePeer === peer)
    }
    const places = new Map()
    const shares = (connectionsFrom: number): boolean[] =>
      peers.map(peer =>
        new RelayShares({ libp2p, places, shared: new SharedHosts() } as never, {
          connectionsFrom: () => connectionsFrom,
          placesFrom: () => 1
        }).refusesConnection(peer)
      )
    expect([shares(3), shares(2), shares(0)]).toEqual([
      [false, false, false],
      [true, true, false],
      [true, true, true]
    ])
  })
})
