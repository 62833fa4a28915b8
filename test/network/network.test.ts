import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import {
  type CallOptions,
  createIdentity,
  freeListenAddresses,
  type Network,
  type PeerStream,
  presentListenAddresses
} from '../../src/network/index.ts'
import { Cluster, echo, ended, read, until } from './cluster.ts'

const cluster = new Cluster()
afterEach(() => cluster.close())

const portOf = (network: Network): number => Number(/tcp\/(\d+)/.exec(network.addresses()[0] ?? '')?.[1])

describe('streams', () => {
  it('carry bytes there and back, in parts or whole, small and beyond every buffer', async () => {
    const server = await cluster.server()
    const client = await cluster.client()
    await server.handle('/test/echo', echo)
    const stream = await client.openStream(server.addresses(), '/test/echo')
    expect(stream.remotePeer).toBe(server.peerId)
    for (const length of [1, 3_072, 70_000, 1 << 20, 24 << 20]) {
      const sent = randomBytes(length)
      const back = read(stream, length)
      stream.send([sent.subarray(0, length >> 1), sent.subarray(length >> 1)])
      expect((await back).equals(sent), `${length} bytes`).toBe(true)
    }
    await until(() => stream.bufferedBytes === 0)
  })

  it('hold what comes before their owner listens', async () => {
    const server = await cluster.server()
    const client = await cluster.client()
    await server.handle('/test/greet', stream => {
      stream.send([Buffer.from('hello')])
      void stream.close()
    })
    const stream = await client.openStream(server.addresses(), '/test/greet')
    await until(() => client.counters.streamsOpen === 0)
    const seen: string[] = []
    stream.onClose = error => seen.push(`closed ${error}`)
    stream.onData = chunk => seen.push(Buffer.from(chunk).toString())
    await until(() => seen.length === 2)
    expect(seen).toEqual(['hello', 'closed undefined'])
  })

  it('say when to wait, and when to go on', async () => {
    const server = await cluster.server()
    const client = await cluster.client()
    await server.handle('/test/sink', stream => {
      stream.onData = () => undefined
    })
    const stream = await client.openStream(server.addresses(), '/test/sink')
    const drained = new Promise<void>(resolve => {
      stream.onDrain = resolve
    })
    while (stream.send([new Uint8Array(1 << 16)]));
    expect(stream.writableNeedsDrain).toBe(true)
    await drained
    expect(stream.writableNeedsDrain).toBe(false)
  })

  it('end at both ends without an error when one closes, with all that was sent before', async () => {
    const server = await cluster.server()
    const client = await cluster.client()
    const received = new Promise<number>(resolve => {
      void server.handle('/test/close', stream => {
        let bytes = 0
        stream.onData = chunk => {
          bytes += chunk.byteLength
        }
        stream.onClose = error => resolve(error === undefined ? bytes : -1)
      })
    })
    const stream = await client.openStream(server.addresses(), '/test/close')
    const here = ended(stream)
    stream.send([new Uint8Array(4 << 20)])
    await stream.close()
    expect([await here, await received]).toEqual([undefined, 4 << 20])
    expect(stream.send([new Uint8Array(1)])).toBe(false)
  })

  it.each([
    ['aborts', (stream: PeerStream) => stream.abort(new Error('enough'))],
    [
      'throws in a callback',
      (stream: PeerStream) => {
        stream.onData = () => {
          throw new Error('enough')
        }
      }
    ]
  ])('break at both ends when one %s, and no other stream does', async (_, breakIt) => {
    const server = await cluster.server()
    const client = await cluster.client()
    const there = new Promise<Error | undefined>(resolve => {
      void server.handle('/test/break', stream => {
        stream.onClose = resolve
        breakIt(stream)
      })
    })
    await server.handle('/test/echo', echo)
    const bystander = await client.openStream(server.addresses(), '/test/echo')
    const stream = await client.openStream(server.peerId, '/test/break')
    const here = ended(stream)
    stream.send([new Uint8Array(1)])
    expect(await there).toMatchObject({ message: 'enough' })
    expect(await here).toMatchObject({ code: 'CONNECTION_LOST' })
    const back = read(bystander, 1)
    bystander.send([new Uint8Array(1)])
    await back
  })

  it('break with CONNECTION_LOST when the other process goes', async () => {
    const server = await cluster.server()
    const client = await cluster.client()
    await server.handle('/test/echo', echo)
    const socket = connect(portOf(server))
    await once(socket, 'connect')
    const stream = await client.openStream(server.addresses(), '/test/echo')
    const lost = ended(stream)
    await server.close()
    expect([undefined, 'CONNECTION_LOST']).toContain(((await lost) as { code?: string } | undefined)?.code)
    socket.destroy()
  })
})

describe('connections', () => {
  it('are dialled once, however many ask at once', async () => {
    const server = await cluster.server()
    const client = await cluster.client()
    await server.handle('/test/echo', echo)
    await Promise.all(Array.from({ length: 20 }, () => client.openStream(server.addresses(), '/test/echo')))
    expect(client.counters).toMatchObject({ dialsStarted: 1, connectionsOpen: 1, streamsOpen: 20 })
  })

  it('are measured by ping', async () => {
    const server = await cluster.server()
    const client = await cluster.client()
    expect(await client.connect(server.addresses())).toBe(server.peerId)
    expect(await client.ping(server.peerId)).toBeGreaterThan(0)
  })

  it('fail with what was wrong', async () => {
    const server = await cluster.server()
    const client = await cluster.client()
    const stranger = (await createIdentity()).peerId
    const [address = ''] = server.addresses()
    const silent = createServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const silentPort = (silent.address() as { port: number }).port
    // As a server does that is too busy to shake hands in time.
    const rude = createServer(socket => socket.once('data', () => socket.resetAndDestroy())).listen(0, '127.0.0.1')
    await once(rude, 'listening')
    const rudePort = (rude.address() as { port: number }).port
    const cases: [string | string[], string, object, CallOptions?][] = [
      [address, '/test/none', { code: 'PROTOCOL_NOT_SUPPORTED', details: { protocol: '/test/none' } }],
      [address.replace(server.peerId, stranger), '/x', { code: 'PEER_UNREACHABLE', reason: 'wrong-peer' }],
      [`/ip4/127.0.0.1/tcp/1/p2p/${stranger}`, '/x', { code: 'PEER_UNREACHABLE', reason: 'refused' }],
      [
        `/ip4/127.0.0.1/tcp/${silentPort}/p2p/${stranger}`,
        '/x',
        { code: 'PEER_UNREACHABLE', reason: 'timeout' },
        { timeoutMs: 300 }
      ],
      [`/ip4/127.0.0.1/tcp/${rudePort}/p2p/${stranger}`, '/x', { code: 'PEER_UNREACHABLE', reason: 'closed' }],
      [(await createIdentity()).peerId, '/x', { code: 'PEER_UNREACHABLE', reason: 'no-address' }],
      [client.peerId, '/x', { code: 'PEER_UNREACHABLE', reason: 'self' }],
      ['/ip4/127.0.0.1/tcp/1', '/x', { code: 'USAGE' }],
      [[], '/x', { code: 'USAGE' }]
    ]
    for (const [target, protocol, error, options] of cases) {
      const opened = client.openStream(target, protocol, options)
      await expect(opened, String(target)).rejects.toMatchObject(error)
    }
    silent.close()
    rude.close()
  })

  it('stop being waited for when the caller gives up', async () => {
    const client = await cluster.client()
    const stranger = (await createIdentity()).peerId
    const silent = createServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as { port: number }
    const controller = new AbortController()
    const dial = client.connect(`/ip4/127.0.0.1/tcp/${port}/p2p/${stranger}`, { signal: controller.signal })
    controller.abort()
    await expect(dial).rejects.toMatchObject({ code: 'CANCELLED' })
    silent.close()
  })

  it('survive garbage on the socket next to them', async () => {
    const server = await cluster.server()
    const client = await cluster.client()
    await server.handle('/test/echo', echo)
    const sockets = Array.from({ length: 20 }, () => connect(portOf(server), '127.0.0.1').on('error', () => undefined))
    for (const socket of sockets) socket.write(randomBytes(5_000))
    await Promise.all(sockets.map(socket => new Promise(resolve => socket.once('close', resolve))))
    const stream = await client.openStream(server.addresses(), '/test/echo')
    const back = read(stream, 3)
    stream.send([Buffer.from('abc')])
    expect((await back).toString()).toBe('abc')
  })
})

describe('listening', () => {
  it('moves to the next free port, together for addresses that share one', async () => {
    const server = await cluster.server()
    const port = portOf(server)
    const [first, second] = await freeListenAddresses([`/ip4/127.0.0.1/tcp/${port}`, `/ip6/::1/tcp/${port}`])
    expect(first).not.toContain(`/tcp/${port}`)
    expect(second?.split('/tcp/')[1]).toBe(first?.split('/tcp/')[1])
  })

  it('says which address the machine does not have, whatever the port', async () => {
    const listen = ['/ip4/127.0.0.1/tcp/0', '/ip4/198.51.100.1/tcp/0']
    await expect(freeListenAddresses(listen)).rejects.toMatchObject({
      code: 'LISTEN_FAILED',
      details: { address: '198.51.100.1' }
    })
  })

  it('announces what it is told to, with its peer id', async () => {
    const announce = ['/ip4/127.0.0.1/tcp/9', '/ip4/10.0.0.1/tcp/9', '/dns4/example.org/tcp/9']
    const network = await cluster.server({ announce })
    const expected = ['/dns4/example.org/tcp/9', '/ip4/10.0.0.1/tcp/9', '/ip4/127.0.0.1/tcp/9']
    expect(network.addresses()).toEqual(expected.map(address => `${address}/p2p/${network.peerId}`))
  })
})

describe('an address without a peer id', () => {
  it('becomes the address of whoever answers there', async () => {
    const server = await cluster.server()
    const client = await cluster.client()
    const [address = ''] = server.addresses()
    expect(await client.resolve(address.replace(/\/p2p\/.*/, ''))).toBe(address)
    expect(await client.connect(address)).toBe(server.peerId)
    expect(client.counters.dialsStarted).toBe(1)
    expect(client.counters.connectionsOpen).toBe(1)
  })

  it('is not asked for where the peer is named', async () => {
    const server = await cluster.server()
    const client = await cluster.client()
    const [address = ''] = server.addresses()
    expect(await client.resolve(address)).toBe(address)
    expect(client.counters.dialsStarted).toBe(0)
  })

  it('says why nobody answers', async () => {
    const client = await cluster.client()
    await expect(client.resolve('/ip4/127.0.0.1/tcp/1')).rejects.toMatchObject({
      code: 'PEER_UNREACHABLE',
      reason: 'refused'
    })
    await expect(client.resolve('nowhere')).rejects.toMatchObject({ code: 'USAGE' })
  })
})

it('hosts that the machine does not have are told from those that it has', async () => {
  // RFC 5737 keeps 192.0.2.0/24 for documents: no machine has it.
  const listen = ['/ip4/127.0.0.1/tcp/31226', '/ip4/192.0.2.1/tcp/31226', '/ip4/0.0.0.0/tcp/0']
  expect(await presentListenAddresses(listen)).toEqual([listen[0], listen[2]])
})
