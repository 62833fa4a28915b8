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
