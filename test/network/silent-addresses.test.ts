import { createServer, type Server, type Socket } from 'node:net'
import { once, setMaxListeners } from 'node:events'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ManualClock } from '../../src/base/index.ts'
import { raceAddresses } from '../../src/network/address-race.ts'
import { createIdentity, type Network } from '../../src/network/index.ts'
import { SilentAddresses } from '../../src/network/silent-addresses.ts'
import { Cluster, echo, until } from './cluster.ts'

// Strangers name addresses that take a connection and never answer; nobody else waits for those.

const cluster = new Cluster()
const taken: Socket[] = []
let silent: Server
let server: Network
let client: Network
/** The client's: a dial that nobody answers lasts as long as the test wants. */
let clock: ManualClock
beforeEach(async () => {
  silent = createServer(socket => taken.push(socket.on('error', () => undefined).resume())).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  server = await cluster.server()
  await server.handle('/test/echo', echo)
  clock = new ManualClock()
  client = await cluster.client({ maxDials: 8, clock })
})
afterEach(async () => {
  await cluster.close()
  for (const socket of taken.splice(0)) socket.destroy()
  silent.close()
})

const hole = (peer: string): string => `/ip4/127.0.0.1/tcp/${(silent.address() as { port: number }).port}/p2p/${peer}`
const here = (): string => server.addresses()[0] ?? ''
/** A dial that a stranger asks for and that nobody answers; `code` and `reason` of what becomes of it. */
function stray(askedBy: string, peer: string, signal?: AbortSignal): Promise<unknown> {
  return client
    .connect(hole(peer), { askedBy, signal })
    .catch(({ code, reason }: { code: string; reason?: string }) => {
      return { code, reason }
    })
}

describe('a dial', () => {
  it('of a peer does not wait for one of the same peer at an address that somebody else named', async () => {
    const stop = new AbortController()
    const stuck = stray('mallory', server.peerId, stop.signal)
    await until(() => taken.length === 1)
    expect(await client.connect(here(), { askedBy: 'ann' })).toBe(server.peerId)
    expect(client.counters).toMatchObject({ dialsStarted: 2, connectionsOpen: 1 })
    stop.abort()
    expect(await stuck).toMatchObject({ code: 'CANCELLED' })
  })

  it('goes on to the next address while one is silent', async () => {
    const dial = client.connect([hole(server.peerId), here()])
    await until(() => taken.length === 1)
    clock.advance(249)
    await new Promise(resolve => setImmediate(resolve))
    expect(client.counters.connectionsOpen).toBe(0)
    clock.advance(1)
    expect(await dial).toBe(server.peerId)
    await until(() => taken.every(socket => socket.closed))
    expect(client.counters).toMatchObject({ connectionsOpen: 1, dialsFailed: { timeout: 0 } })
  })

  it.each([
    { addresses: 1, givenUpMs: 60_000 },
    { addresses: 2, givenUpMs: 30_000 }
  ])(
    'that may take a minute waits at $addresses of them for $givenUpMs ms: a server may be slow to shake hands',
    async ({ addresses, givenUpMs }) => {
      const target = [hole(server.peerId), `/ip4/127.0.0.1/tcp/9/p2p/${server.peerId}`].slice(0, addresses)
      const dial = client.connect(target, { timeoutMs: 60_000 })
      const failure = dial.catch((error: unknown) => error)
      await until(() => taken.length === 1)
      clock.advance(givenUpMs - 1)
      await new Promise(resolve => setImmediate(resolve))
      expect(client.counters).toMatchObject({ dialsFailed: { timeout: 0 } })
      clock.advance(1)
      const reason = addresses === 1 ? 'timeout' : 'refused'
      expect(await failure).toMatchObject({ code: 'PEER_UNREACHABLE', reason })
    }
  )

  it('ends when nobody waits for it any more, and not before', async () => {
    const [first, second] = [new AbortController(), new AbortController()]
    const { peerId } = await createIdentity()
    const both = [stray('ann', peerId, first.signal), stray('ann', peerId, second.signal)]
    await until(() => taken.length === 1)
    first.abort()
    expect(await both[0]).toMatchObject({ code: 'CANCELLED' })
    expect([client.counters.dialsStarted, taken[0]?.closed]).toEqual([1, false])
    second.abort()
    await until(() => taken[0]?.closed === true)
  })

  it('of this node’s own does not join one for others, which is shorter; others join it', async () => {
    const peers = await Promise.all(Array.from({ length: 3 }, async () => (await createIdentity()).peerId))
    const [first = '', second = '', third = ''] = peers
    const stop = new AbortController()
    setMaxListeners(0, stop.signal)
    const own = (peer: string): Promise<unknown> =>
      client.connect(hole(peer), { signal: stop.signal }).catch(({ code }: { code: string }) => ({ code }))
    // Of the first peer the other's dial is there before, of the second this node's own; the third's comes last.
    const all = [stray('ann', first, stop.signal), own(first), own(second), stray('ann', second, stop.signal)]
    all.push(own(third))
    await until(() => taken.length >= 4)
    expect(client.counters.dialsStarted).toBe(4)
    stop.abort()
    for (const end of await Promise.all(all)) expect(end).toMatchObject({ code: 'CANCELLED' })
  })

  it('ends with the network, and says so', async () => {
    const stuck = client.connect(hole((await createIdentity()).peerId))
    await until(() => taken.length === 1)
    const closing = client.close()
    await expect(stuck).rejects.toMatchObject({ code: 'NETWORK_CLOSED' })
    await closing
    await until(() => taken[0]?.closed === true)
  })
})

describe('a flood of silent addresses', () => {
  it('takes places from itself alone: others are dialled for as if it were not, and so is this node’s own', async () => {
    const peers = await Promise.all(Array.from({ length: 20 }, async () => (await createIdentity()).peerId))
    const stop = new AbortController()
    setMaxListeners(0, stop.signal)
    const flood = peers.map(peer => stray('mallory', peer, stop.signal))
    // Half of the dials are for others.
    await until(() => client.counters.dialsEvicted === peers.length - 4)
    expect(await client.connect(here(), { askedBy: 'ann' })).toBe(server.peerId)
    const own = await cluster.server()
    expect(await client.connect(own.addresses())).toBe(own.peerId)
    stop.abort()
    const ends = (await Promise.all(flood)) as { code: string; reason?: string }[]
    expect(ends.filter(({ reason }) => reason === 'too-many')).toHaveLength(peers.length - 3)
    expect(ends.filter(({ code }) => code === 'CANCELLED')).toHaveLength(3)
  })

  it('of many who ask costs each of them its oldest first', async () => {
    const peers = await Promise.all(Array.from({ length: 5 }, async () => (await createIdentity()).peerId))
    const stop = new AbortController()
    const [a1, a2, b1, c1] = peers.slice(0, 4).map((peer, i) => stray('aabc'[i] ?? '', peer, stop.signal))
    await until(() => taken.length === 4)
    const d1 = stray('d', peers[4] ?? '', stop.signal)
    expect(await a1).toMatchObject({ reason: 'too-many' })
    stop.abort()
    expect(await Promise.all([a2, b1, c1, d1])).toEqual(
      Array.from({ length: 4 }, () => ({ code: 'CANCELLED', reason: undefined }))
    )
  })

  it('does not cost another the dial that both asked for', async () => {
    const peers = await Promise.all(Array.from({ length: 5 }, async () => (await createIdentity()).peerId))
    const stop = new AbortController()
    const shared = peers[0] ?? ''
    const mallory = stray('mallory', shared, stop.signal)
    let settled = false
    const ann = stray('ann', shared, stop.signal).finally(() => {
      settled = true
    })
    const more = peers.slice(1).map(peer => stray('mallory', peer, stop.signal))
    expect(await mallory).toMatchObject({ reason: 'too-many' })
    await until(() => client.counters.dialsEvicted === 2)
    expect(settled).toBe(false)
    stop.abort()
    expect(await ann).toMatchObject({ code: 'CANCELLED' })
    await Promise.all(more)
  })
})

describe('an address that did not answer', () => {
  it('is known to be silent for a while, whoever is said to be there', () => {
    const clock = new ManualClock()
    const addresses = new SilentAddresses({ clock }, { forMs: 100, most: 2 })
    addresses.add('/ip4/192.0.2.1/tcp/1/p2p/ann')
    expect(addresses.has('/ip4/192.0.2.1/tcp/1/p2p/bob')).toBe(true)
    expect(addresses.has('/ip4/192.0.2.1/tcp/2/p2p/ann')).toBe(false)
    clock.advance(100)
    expect(addresses.has('/ip4/192.0.2.1/tcp/1/p2p/ann')).toBe(false)
    // Behind a relay each peer is a place of its own.
    addresses.add('/ip4/192.0.2.1/tcp/1/p2p/relay/p2p-circuit/p2p/ann')
    expect(addresses.has('/ip4/192.0.2.1/tcp/1/p2p/relay/p2p-circuit/p2p/bob')).toBe(false)
    addresses.add('/ip4/192.0.2.3/tcp/1')
    addresses.add('/ip4/192.0.2.4/tcp/1')
    expect(addresses.has('/ip4/192.0.2.1/tcp/1/p2p/relay/p2p-circuit/p2p/ann')).toBe(false)
    addresses.delete('/ip4/192.0.2.4/tcp/1/p2p/ann')
    expect([addresses.has('/ip4/192.0.2.3/tcp/1'), addresses.has('/ip4/192.0.2.4/tcp/1')]).toEqual([true, false])
  })

  it('is not dialled again for others, who are told at once; this node itself tries', async () => {
    const { peerId } = await createIdentity()
    const first = stray('mallory', peerId)
    await until(() => taken.length === 1)
    clock.advance(5_000)
    expect(await first).toMatchObject({ reason: 'timeout' })
    const before = taken.length
    expect(await stray('mallory', (await createIdentity()).peerId)).toMatchObject({ reason: 'timeout' })
    expect([taken.length, client.counters.dialsSpared]).toEqual([before, 1])
    // Another address of the same peer is dialled all the same.
    expect(await client.connect([hole(server.peerId), here()], { askedBy: 'ann' })).toBe(server.peerId)
    expect(taken.length).toBe(before)
    const stop = new AbortController()
    const own = client.connect(hole(peerId), { signal: stop.signal })
    await until(() => taken.length === before + 1)
    stop.abort()
    await expect(own).rejects.toMatchObject({ code: 'CANCELLED' })
  })

  it('is known also where a relay was tried after it: the next dial begins with that, which may just have been short of time', async () => {
    const clock = new ManualClock()
    client = await cluster.client({ clock })
    const held: Socket[] = []
    const slow = createServer(socket => held.push(socket.on('error', () => undefined).resume())).listen(0, '127.0.0.1')
    await once(slow, 'listening')
    const relay = `/ip4/127.0.0.1/tcp/${(slow.address() as { port: number }).port}/p2p/${(await createIdentity()).peerId}`
    const { peerId } = await createIdentity()
    const addresses = [hole(peerId), `${relay}/p2p-circuit/p2p/${peerId}`]
    const asked = (): Promise<unknown> => client.connect(addresses, { askedBy: 'ann' }).catch((error: unknown) => error)
    const first = asked()
    await until(() => taken.length === 1)
    // Half of its time for what is direct, the other half for the relay.
    clock.advance(2_500)
    await until(() => held.length === 1)
    clock.advance(2_500)
    expect(await first).toMatchObject({ code: 'PEER_UNREACHABLE' })
    const second = asked()
    await until(() => held.length === 2)
    clock.advance(5_000)
    expect(await second).toMatchObject({ code: 'PEER_UNREACHABLE' })
    expect([taken.length, client.counters.dialsSpared]).toEqual([1, 0])
    for (const socket of held) socket.destroy()
    slow.close()
  })
})

describe('a race of addresses', () => {
  const race = (attempts: ((signal: AbortSignal) => Promise<string>)[], clock = new ManualClock()) => {
    const stop = new AbortController()
    return { clock, stop, result: raceAddresses(attempts, { staggerMs: 250, clock, signal: stop.signal }) }
  }
  const forEver = (signal: AbortSignal): Promise<string> =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('given up'))))

  it('begins the next after a while, or when one fails, and gives up the others once one is reached', async () => {
    const begun: string[] = []
    const given: string[] = []
    const stuck = (name: string) => (signal: AbortSignal) => {
      begun.push(name)
      signal.addEventListener('abort', () => given.push(name))
      return forEver(signal)
    }
    const failing = (): Promise<string> => (begun.push('failing'), Promise.reject(new Error('refused')))
    const good = (): Promise<string> => (begun.push('good'), Promise.resolve('reached'))
    const { clock, result } = race([stuck('a'), stuck('b'), failing, good, stuck('never')])
    expect(begun).toEqual(['a'])
    clock.advance(249)
    expect(begun).toEqual(['a'])
    clock.advance(1)
    expect(begun).toEqual(['a', 'b'])
    clock.advance(250)
    expect(await result).toBe('reached')
    expect([begun, given]).toEqual([
      ['a', 'b', 'failing', 'good'],
      ['a', 'b']
    ])
    clock.advance(10_000)
    expect(begun).toHaveLength(4)
  })

  it('fails with all that went wrong, and when it is given up', async () => {
    const refused = new Error('refused')
    await expect(race([() => Promise.reject(refused)]).result).rejects.toBe(refused)
    const both = race([() => Promise.reject(refused), () => Promise.reject(refused)]).result
    await expect(both).rejects.toMatchObject({ errors: [refused, refused] })
    const { stop, result } = race([forEver, forEver])
    stop.abort()
    await expect(result).rejects.toThrow()
  })
})
