import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, expect, describe, it } from 'vitest'
import type { Logger } from '../../src/base/index.ts'
import type { Network } from '../../src/network/index.ts'
import { type Attacker, type Hostile, startAttacker, yamuxHeader } from './attacker.ts'
import { Cluster, echo, read, until } from './cluster.ts'

// Whatever strangers send at any layer, the server goes on to serve others, keeps nothing of it, and its log is silent.

const MiB = 1_024 * 1_024
const cluster = new Cluster()
const lines: string[] = []
const heard = (_: object, message: string): void => void lines.push(message)
const quiet = (): void => undefined
const logger: Logger = { trace: quiet, debug: quiet, info: heard, warn: heard, error: heard, child: () => logger }
const unlimited = { perSecond: 1e9, burst: 1e9 }

let server: Network
let client: Network
let attacker: Attacker
beforeAll(async () => {
  server = await cluster.server({ logger, limits: { dials: unlimited, streams: unlimited } })
  client = await cluster.client()
  attacker = await startAttacker()
  await server.handle('/test/echo', echo)
})
afterEach(async () => {
  // A bystander is served, what was opened goes with who opened it, and nobody reads about it.
  const stream = await client.openStream(server.addresses(), '/test/echo')
  const back = read(stream, 3)
  stream.send([Buffer.from('abc')])
  expect((await back).toString()).toBe('abc')
  await stream.close()
  await until(() => server.counters.streamsOpen === 0 && server.counters.connectionsOpen === 1)
  expect(lines).toEqual([])
})
afterAll(async () => {
  await attacker.stop()
  await cluster.close()
})

const address = (): string => server.addresses()[0] ?? ''
const hostile = (): Promise<Hostile> => attacker.connect(address())
const gone = ({ connection }: Hostile): Promise<void> => until(() => connection.status !== 'open')

describe('below the handshake', () => {
  const closing = (socket: Socket): Promise<void> => new Promise(resolve => socket.once('close', () => resolve()))
  const dial = async (): Promise<Socket> => {
    const socket = connect(Number(/tcp\/(\d+)/.exec(address())?.[1]), '127.0.0.1').on('error', quiet)
    await once(socket, 'connect')
    return socket
  }
  const greeting = Buffer.from('\x13/multistream/1.0.0\n\x07/noise\n', 'latin1')

  it('any bytes, also behind a greeting that is right, end that connection', async () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 4_096 })
    await fc.assert(
      fc.asyncProperty(bytes, fc.constantFrom(0, greeting.length), async (garbage, greeted) => {
        const socket = await dial()
        socket.resume()
        const closed = closing(socket)
        socket.end(Buffer.concat([greeting.subarray(0, greeted), garbage]))
        await closed
      }),
      { numRuns: 40 }
    )
  })

  it('a length that is declared and never sent is not kept: the handshake has its time', async () => {
    const socket = await dial()
    socket.resume()
    const closed = closing(socket)
    // Of multistream: 2 GiB. Whoever waits for that is hung up on.
    socket.write(Buffer.of(0xff, 0xff, 0xff, 0xff, 0x07))
    await closed
  })
})

describe('below the encryption', () => {
  const length = fc.oneof(fc.nat(20), fc.constantFrom(15, 16, 17, 65_535), fc.nat(65_535))
  const message = fc.tuple(length, fc.uint8Array({ maxLength: 300 })).map(([declared, content]) => {
    const prefix = Buffer.alloc(2)
    prefix.writeUInt16BE(declared)
    return Buffer.concat([prefix, content])
  })

  it('messages that are not encrypted for it, of any length, end that connection', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 5 }), async messages => {
        const one = await hostile()
        one.socket.write(Buffer.concat(messages))
        // What is not complete is waited for.
        one.socket.write(randomBytes(65_535))
        await gone(one)
      }),
      { numRuns: 40 }
    )
  })
})

describe('below the multiplexer', () => {
  it('frames of any kind, any order and any length end at most that connection', async () => {
    const frame = fc.record({
      header: fc.record({
        version: fc.constantFrom(0, 0, 0, 1, 255),
        type: fc.integer({ min: 0, max: 5 }),
        flags: fc.integer({ min: 0, max: 15 }),
        streamId: fc.constantFrom(0, 1, 2, 3, 5, 4_294_967_295),
        length: fc.oneof(fc.integer({ min: 0, max: 64 }), fc.constantFrom(262_144, 2 ** 31, 2 ** 32 - 1))
      }),
      body: fc.uint8Array({ maxLength: 64 })
    })
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { minLength: 1, maxLength: 20 }), async frames => {
        const { connection, wire } = await hostile()
        for (const { header, body } of frames)
          if (wire.status === 'open') wire.send(Buffer.concat([yamuxHeader(header), body]))
        connection.abort(new Error('enough'))
      }),
      { numRuns: 60 }
    )
  })

  it('a frame declared as 4 GiB is not gathered', async () => {
    const one = await hostile()
    one.wire.send(yamuxHeader({ type: 0, flags: 1, streamId: 1, length: 2 ** 32 - 1 }))
    const before = process.memoryUsage().arrayBuffers
    for (let sent = 0; sent < 64 * MiB && one.wire.status === 'open'; sent += MiB / 16) {
      one.wire.send(new Uint8Array(MiB / 16))
      await new Promise(resolve => setImmediate(resolve))
    }
    await gone(one)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(48 * MiB)
  })
})

describe('above the multiplexer', () => {
  it('any bytes in place of a protocol end that stream', async () => {
    const { connection, muxer } = await hostile()
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 2_048 }), async garbage => {
        const stream = await muxer.createStream()
        stream.send(Uint8Array.from(garbage))
        await stream.close().catch(quiet)
      }),
      { numRuns: 100 }
    )
    connection.abort(new Error('enough'))
  })

  it('thousands of streams, opened and left: a peer has so many and no more, and they go with it', async () => {
    const one = await hostile()
    const opening = Array.from({ length: 3_000 }, () =>
      one.connection.newStream('/test/echo', { maxOutboundStreams: 10_000 }).catch(quiet)
    )
    await Promise.all(opening)
    expect(server.counters.streamsOpen).toBeLessThanOrEqual(256)
    expect(server.counters.streamsOpen).toBeGreaterThan(100)
    one.connection.abort(new Error('enough'))
  })

  it('thousands of streams on which nothing is negotiated are forgotten', async () => {
    const one = await hostile()
    for (let i = 0; i < 3_000 && one.wire.status === 'open'; i++) {
      const stream = await Promise.resolve(one.muxer.createStream()).catch(quiet)
      if (stream === undefined) break
      // The first byte of a length that says that 127 more will come.
      stream.send(Buffer.of(0x7f))
    }
    await new Promise(resolve => setImmediate(resolve))
    one.connection.abort(new Error('enough'))
  })

  it('who does not read is not written for beyond a bound', async () => {
    const broken = new Promise<Error | undefined>(resolve => {
      void server.handle('/test/pour', stream => {
        let most = 0
        stream.onClose = error => {
          expect(most).toBeLessThanOrEqual(66 * MiB)
          resolve(error)
        }
        const pour = (): void => {
          for (let i = 0; i < 16; i++) stream.send([new Uint8Array(MiB)])
          most = Math.max(most, stream.bufferedBytes)
          if (server.counters.streamsOpen > 0) setImmediate(pour)
        }
        pour()
      })
    })
    const one = await hostile()
    const stream = await one.connection.newStream('/test/pour')
    stream.pause()
    expect(await broken).toMatchObject({ code: 'CONNECTION_LOST' })
    one.connection.abort(new Error('enough'))
  })

  it('who writes a byte at a time is served as others are', async () => {
    const one = await hostile()
    const stream = await one.connection.newStream('/test/echo')
    const sent = randomBytes(300)
    const came: Uint8Array[] = []
    stream.addEventListener('message', ({ data }) => came.push(data.subarray()))
    for (const byte of sent) {
      stream.send(Buffer.of(byte))
      await new Promise(resolve => setImmediate(resolve))
    }
    await until(() => Buffer.concat(came).length === sent.length)
    expect(Buffer.concat(came).equals(sent)).toBe(true)
    one.connection.abort(new Error('enough'))
  })

  it('a stream that one end has closed is closed by the other', async () => {
    const one = await hostile()
    const stream = await one.connection.newStream('/test/echo')
    await stream.close()
    await until(() => server.counters.streamsOpen === 0)
    one.connection.abort(new Error('enough'))
  })
})
