import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import { createIdentity, type Network, type NetworkInit } from '../../src/network/index.ts'
import { createCounters } from '../../src/network/counters.ts'
import { Handshakes } from '../../src/network/handshakes.ts'
import { createNode } from '../../src/network/libp2p-node.ts'
import { throughRelay } from '../../src/network/peer-address.ts'
import { Cluster, echo, ended, read, until } from './cluster.ts'
import { quietPort } from './ports.ts'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

const cluster = new Cluster()
afterEach(() => cluster.close())

const addressOf = (network: Network): string => network.addresses()[0] ?? ''
const hidden = (relay: Network, init: Partial<NetworkInit> = {}): Promise<Network> =>
  cluster.client({ relays: [addressOf(relay)], ...init })

async function says(from: Network, target: string | readonly string[], bytes = 100_000): Promise<void> {
  const stream = await from.openStream(target, '/test/echo')
  const sent = new Uint8Array(bytes).fill(7)
  const back = read(stream, bytes)
  stream.send([sent])
  expect(Buffer.compare(await back, sent)).toBe(0)
  const end = ended(stream)
  await stream.close()
  expect(await end).toBeUndefined()
}

describe('a node that listens nowhere, behind a relay', () => {
  it('is reached through it, and says so', async () => {
    const relay = await cluster.server({ relaying: {} })
    const server = await hidden(relay)
    await server.handle('/test/echo', echo)
    expect(server.addresses()).toEqual([throughRelay(addressOf(relay), server.peerId)])
    expect([server.reachability, relay.reachability]).toEqual(['relay', 'unknown'])
    expect(server.relaying().relays).toBe(1)

    const client = await cluster.client()
    await says(client, server.addresses())
    expect(relay.relaying()).toMatchObject({ places: 1, connections: 1 })
    expect(client.counters).toMatchObject({ dialsRelayed: 1, connectionsOpen: 2 })
    expect(await client.ping(server.peerId)).toBeGreaterThan(0)
  })

  it('reaches another one behind another relay', async () => {
    const [first, second] = [await cluster.server({ relaying: {} }), await cluster.server({ relaying: {} })]
    const [server, next] = [await hidden(first), await hidden(second)]
    await next.handle('/test/echo', echo)
    await says(server, next.addresses())
  })

  it('is dialled directly where that is possible, and through the relay where it is not', async () => {
    const relay = await cluster.server({ relaying: {} })
    const server = await cluster.server({ relays: [addressOf(relay)] })
    await server.handle('/test/echo', echo)
    const [direct = '', relayed = ''] = server.addresses()
    expect(relayed).toContain('/p2p-circuit/')
    const [near, far] = [await cluster.client(), await cluster.client()]
    await says(near, [relayed, direct])
    expect(near.counters).toMatchObject({ dialsRelayed: 0, connectionsOpened: 1 })
    await says(far, [`/ip4/127.0.0.1/tcp/1/p2p/${server.peerId}`, relayed])
    expect(far.counters.dialsRelayed).toBe(1)
  })

  it('is not found behind a relay that holds no place for it, or is none', async () => {
    const [relay, none] = [await cluster.server({ relaying: {} }), await cluster.server()]
    const client = await cluster.client()
    const { peerId } = await createIdentity()
    for (const through of [addressOf(relay), addressOf(none), `/ip4/127.0.0.1/tcp/1/p2p/${relay.peerId}`]) {
      const dial = client.connect(throughRelay(through, peerId))
      await expect(dial).rejects.toMatchObject({ code: 'PEER_UNREACHABLE', reason: 'relay', retryable: true })
    }
  })

  it('asks again for a place that it lost', async () => {
    const identity = await createIdentity()
    const place = { identity, relaying: {}, listen: [`/ip4/127.0.0.1/tcp/${await quietPort()}`] }
    const relay = await cluster.server(place)
    const server = await hidden(relay)
    await server.handle('/test/echo', echo)
    await relay.close()
    await until(() => server.relaying().relays === 0)
    expect([server.addresses(), server.reachability]).toEqual([[], 'unknown'])
    await cluster.server(place)
    await until(() => server.relaying().relays === 1)
    await says(await cluster.client(), server.addresses())
  })

  it('asks again by every address that it was given for one relay', async () => {
    const identity = await createIdentity()
    const relay = await cluster.server({ identity, relaying: {}, listen: ['/ip4/127.0.0.1/tcp/0'] })
    const byNumber = addressOf(relay)
    const byName = byNumber.replace('/ip4/127.0.0.1', '/dns4/localhost')
    const server = await cluster.client({ relays: [byNumber, byName] })
    expect(server.relaying().relays).toBe(2)
    await relay.close()
    await until(() => server.relaying().relays === 0)
    expect(server.addresses()).toEqual([])
  })

  it('keeps its place, and what goes through it, however long nothing else uses those connections', async () => {
    const idle = { connectionIdleTimeoutMs: 200 }
    const relay = await cluster.server({ relaying: {}, ...idle })
    const server = await hidden(relay, idle)
    const client = await cluster.client(idle)
    await server.handle('/test/echo', echo)
    const stream = await client.openStream(server.addresses(), '/test/echo')
    // A connection without a lease comes and goes meanwhile, several times.
    const bystander = await cluster.client(idle)
    for (let i = 1; i <= 3; i++) {
      await bystander.connect(relay.addresses())
      await until(() => bystander.counters.connectionsIdleClosed + relay.counters.connectionsIdleClosed >= i)
    }
    const back = read(stream, 3)
    stream.send([Buffer.from('abc')])
    expect((await back).toString()).toBe('abc')
    await stream.close()
    // Unused, the relayed connection goes, then the client's to the relay; the server's stays.
    await until(() => client.counters.connectionsOpen === 0 && relay.counters.connectionsOpen === 1)
    expect(server.relaying().relays).toBe(1)
    await says(client, server.addresses())
  })
})

describe("libp2p's own services", () => {
  it('for hole punching leave relayed connections alone where there is nothing to punch', async () => {
    const relay = await cluster.server({ relaying: {} })
    const server = await hidden(relay, { holePunching: true })
    await server.handle('/test/echo', echo)
    const client = await cluster.client({ holePunching: true })
    await says(client, server.addresses())
    await says(client, server.addresses())
    expect(client.counters).toMatchObject({ dialsRelayed: 1, connectionsEnded: 0 })
  })

  it('tell peers the addresses that are announced, so that one behind a relay can dial back; that proves no reach', async () => {
    const announced = '/ip4/8.8.8.8/tcp/9'
    const server = await cluster.server({ announce: [announced], holePunching: true })
    expect(server.reachability).toBe('unknown')
    expect(server.addresses()).toEqual([`${announced}/p2p/${server.peerId}`])
    const { libp2p } = await createNode({
      ...{ identity: await createIdentity(), listen: [], gater: {}, swarmKey: undefined, relaying: undefined },
      ...{ tcpKeepAliveMs: 0, maxConnections: 1, maxDials: 1, isRelay: () => false, upnp: false, holePunching: true },
      handshakes: new Handshakes({ counters: createCounters() }, { most: 9 }),
      announce: [announced]
    })
    await libp2p.start()
    onTestFinished(async () => libp2p.stop())
    expect(libp2p.getMultiaddrs().map(String)).toEqual([`${announced}/p2p/${libp2p.peerId.toString()}`])
  })

  it('for UPnP are there when they are asked for, and only then', async () => {
    const init = {
      ...{
        identity: await createIdentity(),
        listen: [],
        gater: {},
        handshakes: new Handshakes({ counters: createCounters() }, { most: 9 }),
        swarmKey: undefined,
        relaying: undefined
      },
      ...{ tcpKeepAliveMs: 0, maxConnections: 1, maxDials: 1, isRelay: () => false }
    }
    // Not started: it would look for routers.
    const services = async (asked: { holePunching: boolean; upnp: boolean }): Promise<string[]> =>
      Object.keys((await createNode({ ...init, ...asked })).libp2p.services).sort()
    expect(await services({ holePunching: false, upnp: false })).toEqual(['identify'])
    expect(await services({ holePunching: true, upnp: true })).toEqual(['autonat', 'dcutr', 'identify', 'upnp'])
  })
})

describe('a relay', () => {
  it('has so many places, and no more', async () => {
    const relay = await cluster.server({ relaying: { places: 1 } })
    await hidden(relay)
    const second = await hidden(relay)
    expect([second.relaying().relays, second.addresses()]).toEqual([0, []])
  })

  it('gives the place of one who went to another', async () => {
    const relay = await cluster.server({ relaying: { places: 1 } })
    const stranger = await hidden(relay)
    expect(relay.relaying().places).toBe(1)
    await stranger.close()
    await until(() => relay.counters.connectionsOpen === 0)
    expect(relay.relaying().places).toBe(0)
    expect((await hidden(relay)).relaying().relays).toBe(1)
  })

  it('keeps one connection for a place, however many its holder opens', async () => {
    const relay = await cluster.server({ relaying: {}, maxConnections: 3 })
    const identity = await createIdentity()
    const holder = await hidden(relay, { identity, connectionIdleTimeoutMs: 0 })
    const more = [await cluster.client({ identity }), await cluster.client({ identity })]
    for (const one of more) await one.connect(relay.addresses())
    await until(() => relay.counters.connectionsOpen === 3)
    const client = await cluster.client()
    await client.connect(relay.addresses())
    await until(() => relay.counters.connectionsOpen === 3)
    expect(relay.counters).toMatchObject({ refusedFull: 0 })
    expect([holder.relaying().relays, client.counters.connectionsOpen]).toEqual([1, 1])
  })

  it('ends a relayed connection that took its bytes', async () => {
    const relay = await cluster.server({ relaying: { bytes: 200_000 } })
    const server = await hidden(relay)
    await server.handle('/test/echo', echo)
    const client = await cluster.client()
    await says(client, server.addresses(), 10_000)
    const stream = await client.openStream(server.addresses(), '/test/echo')
    const lost = ended(stream)
    stream.send([new Uint8Array(300_000)])
    expect(await lost).toMatchObject({ code: 'CONNECTION_LOST' })
    await says(client, server.addresses(), 10_000)
  })

  it('keeps nothing of what it has passed on, whichever end sent it', async () => {
    const relay = await cluster.server({ relaying: {} })
    const server = await hidden(relay)
    await server.handle('/test/echo', echo)
    const stream = await (await cluster.client()).openStream(server.addresses(), '/test/echo')
    const MiB = 2 ** 20
    const goesBothWays = async (bytes: number): Promise<void> => {
      const back = read(stream, bytes)
      stream.send([new Uint8Array(bytes)])
      await back
    }
    // Buffers that are used again are there then.
    await goesBothWays(2 * MiB)
    gc()
    const before = process.memoryUsage().arrayBuffers
    for (let i = 0; i < 4; i++) await goesBothWays(2 * MiB)
    await until(() => {
      gc()
      return process.memoryUsage().arrayBuffers < before + 4 * MiB
    })
  })

  it('is not taken up on an offer that nobody asked for', async () => {
    const liar = await cluster.server({ relaying: {} })
    const victim = await cluster.server()
    const friend = await cluster.client()
    await victim.connect(liar.addresses())
    await friend.connect(liar.addresses())
    // What a relay says to a node that has a place: somebody wants to connect to you.
    await expect(liar.openStream(victim.peerId, '/libp2p/circuit/relay/0.2.0/stop').then(ended)).resolves.toBeDefined()
    expect(victim.counters.refusedByRelay).toBe(1)
    expect(victim.relaying().relays).toBe(0)
  })
})

describe('access lists', () => {
  it('by peer id hold for those who come through a relay', async () => {
    const relay = await cluster.server({ relaying: {} })
    const identity = await createIdentity()
    const server = await hidden(relay, { access: { deny: [identity.peerId] } })
    await server.handle('/test/echo', echo)
    const denied = await cluster.client({ identity })
    await expect(denied.connect(server.addresses())).rejects.toMatchObject({
      code: 'PEER_UNREACHABLE'
    })
    expect(server.counters.refusedByPeer).toBe(1)
    await says(await cluster.client(), server.addresses())
  })

  it('and a swarm key holds through a relay, too', async () => {
    const key = (digit: string): Uint8Array => Buffer.from(`/key/swarm/psk/1.0.0/\n/base16/\n${digit.repeat(64)}`)
    const swarmKey = key('a')
    const relay = await cluster.server({ swarmKey, relaying: {} })
    const server = await hidden(relay, { swarmKey })
    await server.handle('/test/echo', echo)
    await says(await cluster.client({ swarmKey }), server.addresses())
  })
})
