import { afterEach, describe, expect, it } from 'vitest'
import { ManualClock } from '../../src/base/index.ts'
import { createIdentity, type NetworkInit, type PeerStream, type RateLimitedError } from '../../src/network/index.ts'
import { AccessList } from '../../src/network/access-list.ts'
import { startAttacker } from './attacker.ts'
import { Cluster, echo, ended, until } from './cluster.ts'

const cluster = new Cluster()
afterEach(() => cluster.close())

const key = (digit: string) => Buffer.from(`/key/swarm/psk/1.0.0/\n/base16/\n${digit.repeat(64)}`)

describe('AccessList', () => {
  it.each([
    [{}, '10.1.2.3', true],
    [{ deny: ['10.0.0.0/8'] }, '10.1.2.3', false],
    [{ deny: ['10.0.0.0/8'] }, '::ffff:10.1.2.3', false],
    [{ deny: ['10.0.0.0/8'] }, '11.1.2.3', true],
    [{ allow: ['192.168.0.0/16'] }, '11.1.2.3', false],
    [{ allow: ['2001:db8::/32'] }, '2001:db8::7', true],
    [{ allow: ['127.0.0.1'], deny: ['127.0.0.1'] }, '127.0.0.1', false]
  ])('with %j says of %s: %s', (init, host, allowed) => {
    expect(new AccessList(init).allowsHost(host)).toBe(allowed)
  })

  it.each(['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/8', 'nobody', ''])('refuses %j as an entry', entry => {
    expect(() => new AccessList({ deny: [entry] })).toThrow(expect.objectContaining({ code: 'USAGE' }))
  })
})

describe('a network', () => {
  it.each<[string, (peer: string) => Partial<NetworkInit>, string]>([
    ['a denied peer', peer => ({ access: { deny: [peer] } }), 'refusedByPeer'],
    ['a peer not among those allowed', () => ({ access: { allow: [key1] } }), 'refusedByPeer'],
    ['a denied address', () => ({ access: { deny: ['127.0.0.0/8'] } }), 'refusedByAddress'],
    ['a host that dials too often', () => ({ limits: { dials: { perSecond: 1, burst: 0 } } }), 'refusedByRate']
  ])('refuses %s, and counts it', async (_, init, counter) => {
    const identity = await createIdentity()
    const server = await cluster.server(init(identity.peerId))
    const client = await cluster.client({ identity })
    await server.handle('/test/echo', echo)
    const opened = client.openStream(server.addresses(), '/test/echo')
    // Who is refused for its address is hung up on; who for its id may have a connection by then.
    const told = { code: 'PEER_UNREACHABLE', reason: 'closed' }
    await expect(opened).rejects.toMatchObject({ retryable: true, ...(counter !== 'refusedByPeer' && told) })
    expect(server.counters[counter as 'refusedByPeer']).toBeGreaterThan(0)
  })

  it('dials no denied address, also where it was not told who answers there', async () => {
    const server = await cluster.server()
    const client = await cluster.client({ access: { deny: ['127.0.0.0/8'] } })
    const [address = ''] = server.addresses()
    const [bare = ''] = address.split('/p2p/')
    await expect(client.connect(address)).rejects.toMatchObject({ reason: 'denied' })
    await expect(client.resolve(bare)).rejects.toMatchObject({ reason: 'denied' })
  })

  it('of a private swarm talks to those with its key only', async () => {
    const server = await cluster.server({ swarmKey: key('a') })
    const member = await cluster.client({ swarmKey: key('a') })
    const [wrong, none] = [await cluster.client({ swarmKey: key('b') }), await cluster.client()]
    expect(await member.ping(server.addresses())).toBeGreaterThan(0)
    for (const outsider of [wrong, none]) {
      const dial = outsider.connect(server.addresses(), { timeoutMs: 500 })
      await expect(dial).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
    }
  })

  it('says to a peer why its streams end, where their protocol has words for it', async () => {
    const server = await cluster.server({
      limits: { streams: { perSecond: 0.001, burst: 1 }, bytes: { perSecond: 1, burst: 9 } }
    })
    const client = await cluster.client()
    const onOverLimit = (stream: PeerStream, { details }: RateLimitedError): void =>
      void stream.send([Buffer.from(String(details['what']))])
    await server.handle('/test/words', () => undefined, { onOverLimit })
    const heard = (stream: PeerStream): Promise<string> =>
      new Promise(resolve => {
        stream.onData = chunk => resolve(Buffer.from(chunk).toString())
      })
    const first = await client.openStream(server.addresses(), '/test/words')
    const second = await client.openStream(server.addresses(), '/test/words')
    expect(await heard(second)).toBe('streams')
    first.send([new Uint8Array(10)])
    expect(await heard(first)).toBe('bytes')
    await until(() => server.counters.streamsOpen === 0)
    expect(server.counters).toMatchObject({ streamsOverCount: 1, streamsOverBytes: 1 })
  })

  it.each(['/test/echo', '/test/none'])(
    'ends the connection of a peer that pours out streams of %s, once so many were refused, and the next at its first',
    async protocol => {
      const clock = new ManualClock()
      const server = await cluster.server({ clock, keepAliveMs: 0, limits: { streams: { perSecond: 1, burst: 4 } } })
      await server.handle('/test/echo', stream => void stream.close())
      const bystander = await cluster.client()
      await bystander.connect(server.addresses())
      const attacker = await startAttacker()
      try {
        const pour = async (): Promise<number> => {
          const { connection } = await attacker.connect(server.addresses()[0] ?? '')
          let opened = 0
          for (; opened < 5_000 && connection.status === 'open'; opened++)
            await connection.newStream(protocol, { maxOutboundStreams: 10_000 }).catch(() => undefined)
          return opened
        }
        // 4, and 1024 more.
        expect(await pour()).toBe(1_029)
        expect(await pour()).toBe(1)
        expect(server.counters).toMatchObject({ connectionsFlooding: 2, connectionsOpen: 1 })
        expect(await bystander.ping(server.addresses())).toBeGreaterThan(0)
        clock.advance(1_000)
        expect(await pour()).toBeGreaterThan(100)
        // Each of these counted for 16 dials more, of 512: so it does not come back all the time instead.
        let back = 3
        for (; back < 100; back++) if ((await pour().catch(() => 0)) === 0) break
        expect(back).toBeLessThan(40)
        expect(server.counters.refusedByRate).toBe(1)
      } finally {
        await attacker.stop()
      }
    }
  )

  it('ends the streams of a peer that sends too much', async () => {
    const server = await cluster.server({ limits: { bytes: { perSecond: 1, burst: 1_000 } } })
    const client = await cluster.client()
    const end = new Promise<Error | undefined>(resolve => {
      void server.handle('/test/sink', stream => {
        stream.onClose = resolve
      })
    })
    const stream = await client.openStream(server.addresses(), '/test/sink')
    const lost = ended(stream)
    stream.send([new Uint8Array(2_000)])
    expect(await end).toMatchObject({ code: 'RATE_LIMITED', details: { what: 'bytes' } })
    expect(await lost).toMatchObject({ code: 'CONNECTION_LOST' })
  })
})

const key1 = (await createIdentity()).peerId
