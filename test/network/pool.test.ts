import { afterEach, describe, expect, it } from 'vitest'
import { ManualClock } from '../../src/base/index.ts'
import { Cluster, echo, ended, read, until } from './cluster.ts'

const cluster = new Cluster()
afterEach(() => cluster.close())

describe('ConnectionPool', () => {
  it.each(['client', 'server'])('closes an idle connection from the %s, at both ends', async side => {
    const clock = new ManualClock()
    const other = { connectionIdleTimeoutMs: 0 }
    const server = await cluster.server(side === 'server' ? { clock, connectionIdleTimeoutMs: 1_000 } : other)
    const client = await cluster.client(side === 'client' ? { clock, connectionIdleTimeoutMs: 1_000 } : other)
    await server.handle('/test/echo', echo)
    const stream = await client.openStream(server.addresses(), '/test/echo')
    clock.advance(5_000)
    const back = read(stream, 1)
    stream.send([new Uint8Array(1)])
    await back
    await stream.close()
    await until(() => server.counters.streamsOpen === 0 && client.counters.streamsOpen === 0)
    clock.advance(999)
    expect(client.counters.connectionsOpen).toBe(1)
    clock.advance(1)
    await until(() => client.counters.connectionsOpen + server.counters.connectionsOpen === 0)
    expect(client.counters.connectionsIdleClosed + server.counters.connectionsIdleClosed).toBe(1)
  })

  it('loses no stream that is opened while a connection closes', async () => {
    const clock = new ManualClock()
    const server = await cluster.server({ clock, connectionIdleTimeoutMs: 1_000 })
    const client = await cluster.client({ connectionIdleTimeoutMs: 0 })
    await server.handle('/test/echo', echo)
    for (let round = 0; round < 5; round++) {
      await client.connect(server.addresses())
      await until(() => server.counters.connectionsOpen > 0)
      clock.advance(1_000)
      const streams = await Promise.all(
        Array.from({ length: 5 }, () => client.openStream(server.addresses(), '/test/echo'))
      )
      for (const stream of streams) {
        const back = read(stream, 1)
        stream.send([new Uint8Array(1)])
        await back
        const end = ended(stream)
        await stream.close()
        expect(await end).toBeUndefined()
      }
    }
  })
})

describe('a cap', () => {
  it('on connections holds for those who come, once all are in use; idle ones make room', async () => {
    const server = await cluster.server({ maxConnections: 2 })
    await server.handle('/test/echo', echo)
    const [first, second, third] = [await cluster.client(), await cluster.client(), await cluster.client()]
    const streams = [
      await first.openStream(server.addresses(), '/test/echo'),
      await second.openStream(server.addresses(), '/test/echo')
    ]
    await expect(third.connect(server.addresses())).rejects.toMatchObject({
      code: 'PEER_UNREACHABLE',
      reason: 'closed'
    })
    expect(server.counters).toMatchObject({ refusedFull: 1, connectionsOpen: 2 })
    await streams[0]?.close()
    await until(() => server.counters.streamsOpen === 1)
    const stream = await third.openStream(server.addresses(), '/test/echo')
    const back = read(stream, 1)
    stream.send([new Uint8Array(1)])
    await back
    // The one that idled went: neither of those in use.
    await until(() => first.counters.connectionsOpen === 0)
    expect([second.counters.connectionsOpen, third.counters.connectionsOpen]).toEqual([1, 1])
  })

  it('on connections holds for those that are dialled', async () => {
    const servers = [await cluster.server(), await cluster.server()]
    const client = await cluster.client({ maxConnections: 1 })
    await servers[0]?.handle('/test/echo', echo)
    await client.openStream(servers[0]?.addresses() ?? [], '/test/echo')
    const dial = client.connect(servers[1]?.addresses() ?? [])
    await expect(dial).rejects.toMatchObject({ code: 'PEER_UNREACHABLE', reason: 'too-many', retryable: true })
    expect(client.counters).toMatchObject({ dialsStarted: 1, dialsFailed: { 'too-many': 1 } })
  })

  it('on dials holds for those under way at once', async () => {
    const servers = [await cluster.server(), await cluster.server()]
    const client = await cluster.client({ maxDials: 1 })
    const dials = servers.map(server => client.connect(server.addresses()))
    const outcomes = await Promise.allSettled(dials)
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    expect(await client.connect(servers[1]?.addresses() ?? [])).toBe(servers[1]?.peerId)
  })
})
