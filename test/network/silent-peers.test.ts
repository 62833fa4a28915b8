import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { ManualClock } from '../../src/base/index.ts'
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

/** Lets time pass by the networks' clock, and what it brings about happen, until `condition` holds. */
async function passUntil(clock: ManualClock, condition: () => boolean): Promise<void> {
  while (!condition()) {
    clock.advance(100)
    await new Promise(resolve => setImmediate(resolve))
  }
}

describe('a black hole', () => {
  it('ends a connection in use, at both ends, by the pings that get no answer', async () => {
    const clock = new ManualClock()
    const keepAlive = { clock, keepAliveMs: 1_000, connectionIdleTimeoutMs: 0 }
    const server = await cluster.server(keepAlive)
    const client = await cluster.client(keepAlive)
    await server.handle('/test/echo', echo)
    const { link, address } = await linked(server)
    const stream = await client.openStream(address, '/test/echo')
    const back = read(stream, 1)
    stream.send([new Uint8Array(1)])
    await back
    let lost: Error | undefined
    void ended(stream).then(error => {
      lost = error
    })
    await link.blackhole()
    await passUntil(clock, () => client.counters.connectionsOpen + server.counters.connectionsOpen === 0)
    expect(lost).toMatchObject({ code: 'CONNECTION_LOST', retryable: true })
    expect([client.counters.connectionsDead, server.counters.connectionsDead]).toEqual([1, 1])
    for (const { counters } of [client, server])
      expect(counters).toMatchObject({ connectionsOpen: 0, streamsOpen: 0, leasesOpen: 0 })
    await link.restore()
    expect(await client.ping(address)).toBeGreaterThan(0)
  })

  it('pins no connection that idles: it is closed without an answer', async () => {
    const clock = new ManualClock()
    const server = await cluster.server({ clock, keepAliveMs: 0, connectionIdleTimeoutMs: 1_000 })
    const client = await cluster.client({ clock, keepAliveMs: 0, connectionIdleTimeoutMs: 1_000 })
    const { link, address } = await linked(server)
    await client.ping(address)
    await until(() => client.counters.leasesOpen + server.counters.leasesOpen === 0)
    await link.blackhole()
    await passUntil(clock, () => client.counters.connectionsOpen + server.counters.connectionsOpen === 0)
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
