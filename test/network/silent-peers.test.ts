import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Link, Relay } from '../../src/bench/index.ts'
import type { Network } from '../../src/network/index.ts'
import { runSources } from '../bench/run-sources.ts'
import { Cluster, echo, ended, read, until } from './cluster.ts'

// The other end is still there for all that TCP tells, and hears and says nothing any more.

const cluster = new Cluster()
let relay: Relay
const links: Link[] = []
beforeAll(() => {
  vi.stubEnv('NODE_OPTIONS', runSources)
  relay = new Relay()
})
afterEach(async () => {
  await cluster.close()
  await Promise.all(links.splice(0).map(link => link.close()))
})
afterAll(() => relay.close())

/** The server's address, by way of a link. */
async function linked(server: Network): Promise<{ link: Link; address: string }> {
  const [address = ''] = server.addresses()
  const port = Number(/tcp\/(\d+)/.exec(address)?.[1])
  const link = await relay.startLink({ target: { host: '127.0.0.1', port } })
  links.push(link)
  return { link, address: address.replace(/tcp\/\d+/, `tcp/${link.port}`) }
}

describe('a black hole', () => {
  it('ends a connection in use, at both ends, by the pings that get no answer', async () => {
    const keepAlive = { keepAliveMs: 100, connectionIdleTimeoutMs: 0 }
    const server = await cluster.server(keepAlive)
    const client = await cluster.client(keepAlive)
    await server.handle('/test/echo', echo)
    const { link, address } = await linked(server)
    const stream = await client.openStream(address, '/test/echo')
    const back = read(stream, 1)
    stream.send([new Uint8Array(1)])
    await back
    const lost = ended(stream)
    await link.blackhole()
    expect(await lost).toMatchObject({ code: 'CONNECTION_LOST', retryable: true })
    await until(() => server.counters.connectionsOpen === 0)
    for (const { counters } of [client, server])
      expect(counters).toMatchObject({ connectionsOpen: 0, streamsOpen: 0, leasesOpen: 0 })
    await link.restore()
    expect(await client.ping(address)).toBeGreaterThan(0)
  })

  it('pins no connection that idles: it is closed without an answer', async () => {
    const server = await cluster.server({ keepAliveMs: 0, connectionIdleTimeoutMs: 1_000 })
    const client = await cluster.client({ keepAliveMs: 0, connectionIdleTimeoutMs: 1_000 })
    const { link, address } = await linked(server)
    await client.ping(address)
    await until(() => client.counters.leasesOpen + server.counters.leasesOpen === 0)
    await link.blackhole()
    await until(() => client.counters.connectionsOpen + server.counters.connectionsOpen === 0)
    expect([client.counters.connectionsIdleClosed, server.counters.connectionsIdleClosed]).toEqual([1, 1])
  })

  it('fails a request in time', async () => {
    const server = await cluster.server()
    const client = await cluster.client({ keepAliveMs: 0 })
    await server.handle('/test/echo', echo)
    const { link, address } = await linked(server)
    await client.connect(address)
    await link.blackhole()
    await expect(client.openStream(address, '/test/echo', { timeoutMs: 200 })).rejects.toMatchObject({
      code: 'TIMEOUT'
    })
    await expect(client.ping(address, { timeoutMs: 200 })).rejects.toMatchObject({ code: 'TIMEOUT' })
    expect(client.counters.leasesOpen).toBe(0)
  })
})
