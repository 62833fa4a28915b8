import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { type EchoServer, startEcho } from '../../../src/bench/lab/echo.ts'
import type { Link, LinkInit } from '../../../src/bench/lab/link.ts'
import { Relay, startLink } from '../../../src/bench/lab/relay.ts'
import { createRng } from '../../../src/bench/rng.ts'
import { runSources } from '../run-sources.ts'

const rng = createRng(5)
const randomBytes = (length: number) => Buffer.from(Uint8Array.from({ length }, () => rng.integer(256)))
const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

let relay: Relay
let echo: EchoServer
const sockets = new Set<Socket>()
const links = new Set<Link>()

beforeAll(async () => {
  vi.stubEnv('NODE_OPTIONS', runSources)
  relay = new Relay()
  echo = await startEcho()
})
afterEach(async () => {
  for (const socket of sockets) socket.destroy()
  await Promise.all([...links].map(link => link.close()))
  sockets.clear()
  links.clear()
})
afterAll(async () => {
  await relay.close()
  await echo.close()
})

async function link(init: Partial<LinkInit> = {}): Promise<Link> {
  const started = await relay.startLink({ target: echo, ...init })
  links.add(started)
  return started
}

async function dial(to: Link): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: to.port, noDelay: true })
  sockets.add(socket)
  // Resets are what these tests cause; those that expect one look at 'close'.
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}

/** The next `length` bytes. */
async function receive(socket: Socket, length: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let left = length
  while (left > 0) {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    chunks.push(chunk)
    left -= chunk.length
  }
  return Buffer.concat(chunks)
}

async function echoed(socket: Socket, message: Buffer): Promise<Buffer> {
  socket.write(message)
  return receive(socket, message.length)
}

/** Resolves once `socket` is closed: with true where an error, such as an RST, closed it. */
function closed(socket: Socket): Promise<boolean> {
  return new Promise(resolve => socket.once('close', resolve))
}

/** A server whose accepted sockets the test holds itself. */
async function listener() {
  const server = createServer({ allowHalfOpen: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    async accept(): Promise<Socket> {
      const [socket] = (await once(server, 'connection')) as [Socket]
      sockets.add(socket)
      socket.on('error', () => undefined)
      return socket
    },
    close: () => server.close()
  }
}

describe('bytes', () => {
  test.each<{ shape: Partial<LinkInit>; length: number }>([
    { shape: {}, length: 1 },
    { shape: {}, length: 3_000_000 },
    { shape: { delayMs: 5, jitterMs: 20, seed: 3 }, length: 1_000_000 },
    { shape: { bandwidth: 200e6, delayMs: 2 }, length: 300_000 },
    { shape: { up: { delayMs: 10 }, down: { bandwidth: 100e6 } }, length: 100_000 }
  ])('$length of them come back in order through $shape', async ({ shape, length }) => {
    const socket = await dial(await link(shape))
    const message = randomBytes(length)
    expect(digest(await echoed(socket, message))).toBe(digest(message))
  })

  test('many small messages keep their order through jitter', async () => {
    const socket = await dial(await link({ delayMs: 1, jitterMs: 15, seed: 8 }))
    const received = receive(socket, 400)
    for (let i = 0; i < 200; i++) {
      socket.write(Buffer.from([i, i]))
      await new Promise(setImmediate)
    }
    expect([...(await received)]).toEqual(Array.from({ length: 400 }, (_, i) => i >> 1))
  })

  test('connections of one link do not mix', async () => {
    const shaped = await link({ delayMs: 3, jitterMs: 6 })
    const messages = Array.from({ length: 8 }, () => randomBytes(50_000))
    const answers = await Promise.all(messages.map(async message => echoed(await dial(shaped), message)))
    expect(answers.map(digest)).toEqual(messages.map(digest))
    expect((await shaped.stats()).connections).toEqual({ open: 8, total: 8 })
  })
})

describe('time, by the relay’s own clock', () => {
  test('nothing is delivered before its delay, each direction its own', async () => {
    const shaped = await link({ up: { delayMs: 30 }, down: { delayMs: 7 } })
    const socket = await dial(shaped)
    for (let i = 0; i < 5; i++) await echoed(socket, randomBytes(100))
    const { up, down } = await shaped.stats()
    expect(up).toMatchObject({ bytesIn: 500, bytesOut: 500, queuedBytes: 0 })
    expect(up.leastMs).toBeGreaterThanOrEqual(30)
    expect(down.leastMs).toBeGreaterThanOrEqual(7)
    expect(down.latenessMs.n).toBeGreaterThanOrEqual(5)
    expect(down.latenessMs.mean).toBeGreaterThanOrEqual(0)
  })

  test('a round trip takes at least both delays', async () => {
    const socket = await dial(await link({ up: { delayMs: 30 }, down: { delayMs: 7 } }))
    await echoed(socket, randomBytes(1))
    const start = process.hrtime.bigint()
    await echoed(socket, randomBytes(1))
    expect(Number(process.hrtime.bigint() - start) / 1e6).toBeGreaterThanOrEqual(37)
  })

  test('bandwidth: 50 000 bytes at 4 Mbit/s take at least 100 ms', async () => {
    const socket = await dial(await link({ up: { bandwidth: 4e6 } }))
    await echoed(socket, randomBytes(1))
    const start = process.hrtime.bigint()
    await echoed(socket, randomBytes(50_000))
    expect(Number(process.hrtime.bigint() - start) / 1e6).toBeGreaterThanOrEqual(100)
  })

  test('a new shape holds for what arrives from then on', async () => {
    const shaped = await link({ delayMs: 1 })
    const socket = await dial(shaped)
    await echoed(socket, randomBytes(1))
    await shaped.set({ delayMs: 40 }, 'down')
    expect(shaped.shape).toMatchObject({ up: { delayMs: 1 }, down: { delayMs: 40 } })
    const start = process.hrtime.bigint()
    await echoed(socket, randomBytes(1))
    expect(Number(process.hrtime.bigint() - start) / 1e6).toBeGreaterThanOrEqual(41)
  })

  test.each([{ delayMs: -1 }, { delayMs: Number.NaN }, { jitterMs: -3 }, { bandwidth: 0 }, { bandwidth: Number.NaN }])(
    '%o is refused',
    async shape => {
      await expect(link(shape)).rejects.toMatchObject({ code: 'USAGE' })
    }
  )
})

describe('backpressure', () => {
  test('what a reader does not take is bounded in the relay, and arrives once it reads', async () => {
    const target = await listener()
    const shaped = await link({ target })
    const [far, near] = await Promise.all([target.accept(), dial(shaped)])
    far.pause()
    const message = Buffer.alloc(32 * 1024 * 1024, 7)
    near.write(message)
    // The relay stops reading at its window; then nothing moves any more: two looks in a row are the same.
    let before = -1
    let up = (await shaped.stats()).up
    while (up.bytesIn !== before || up.bytesIn === 0) {
      before = up.bytesIn
      await new Promise(resolve => setTimeout(resolve, 50))
      up = (await shaped.stats()).up
      expect(up.queuedBytes).toBeLessThan(5 * 1024 * 1024)
    }
    expect(up.bytesIn).toBeLessThan(message.length)
    let left = message.length
    far.on('data', (chunk: Buffer) => {
      left -= chunk.length
      if (left === 0) far.destroy()
    })
    far.resume()
    await closed(far)
    expect(left).toBe(0)
    target.close()
  })
})

describe('faults', () => {
  test('FIN travels: half of a connection may end while the other goes on', async () => {
    const target = await listener()
    const [far, near] = await Promise.all([target.accept(), dial(await link({ target, delayMs: 5 }))])
    near.end('last words')
    const [heard] = (await once(far, 'data')) as [Buffer]
    expect(heard.toString()).toBe('last words')
    await once(far, 'end')
    far.end('answer')
    expect((await receive(near, 6)).toString()).toBe('answer')
    target.close()
  })

  test('RST travels from one end to the other', async () => {
    const target = await listener()
    const [far, near] = await Promise.all([target.accept(), dial(await link({ target, delayMs: 5 }))])
    const failed = closed(far)
    near.resetAndDestroy()
    expect(await failed, 'closed with an error').toBe(true)
    target.close()
  })

  test('nobody at the target: the connection is reset', async () => {
    const target = await listener()
    target.close()
    const near = connect({ host: '127.0.0.1', port: (await link({ target })).port })
    near.on('error', () => undefined)
    expect(await closed(near)).toBe(true)
  })

  test('reset ends every connection at both ends, and new ones work', async () => {
    const target = await listener()
    const shaped = await link({ target })
    const [far, near] = await Promise.all([target.accept(), dial(shaped)])
    const ends = [closed(far), closed(near)]
    await shaped.reset()
    expect(await Promise.all(ends)).toEqual([true, true])
    const [again] = await Promise.all([target.accept(), dial(shaped)])
    again.write('hello')
    target.close()
    expect((await shaped.stats()).connections.total).toBe(2)
  })

  test.each(['up', 'down', 'both'] as const)('blackhole %s holds everything, restore delivers it', async direction => {
    const shaped = await link({ delayMs: 1 })
    const socket = await dial(shaped)
    await echoed(socket, randomBytes(10))
    await shaped.blackhole(direction)
    const message = randomBytes(5000)
    const received = receive(socket, message.length)
    socket.write(message)
    const held = async () => {
      const { up, down } = await shaped.stats()
      return direction === 'down' ? down.queuedBytes : up.queuedBytes
    }
    while ((await held()) < message.length) await new Promise(setImmediate)
    const { down } = await shaped.stats()
    expect(down.bytesOut, 'nothing of it came back').toBe(10)
    await shaped.restore()
    expect(digest(await received)).toBe(digest(message))
  })

  test.each([
    { gone: 'target', survivor: 0, other: 1 },
    { gone: 'source', survivor: 1, other: 0 }
  ] as const)('half-open: the $gone is gone, the other end hears nothing', async ({ gone, survivor, other }) => {
    const target = await listener()
    const shaped = await link({ target })
    const [far, near] = await Promise.all([target.accept(), dial(shaped)])
    const ends = [near, far] as const
    let said = ''
    for (const event of ['end', 'close', 'data'] as const) ends[survivor].on(event, () => (said += event))
    const left = closed(ends[other])
    await shaped.halfOpen(gone)
    expect(await left).toBe(true)
    ends[survivor].write('still there?')
    const direction = survivor === 0 ? 'up' : 'down'
    while ((await shaped.stats())[direction].queuedBytes === 0) await new Promise(setImmediate)
    expect(said).toBe('')
    expect((await shaped.stats()).connections.open).toBe(1)
    ends[survivor].destroy()
    while ((await shaped.stats()).connections.open > 0) await new Promise(setImmediate)
    target.close()
  })
})

describe('life', () => {
  test('a closed link frees its port, ends its connections, and says so when used again', async () => {
    const closing = await relay.startLink({ target: echo })
    const socket = await dial(closing)
    await closing.close()
    if (!socket.closed) await once(socket, 'close')
    const refused = connect({ host: '127.0.0.1', port: closing.port })
    const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException]
    expect(error.code).toBe('ECONNREFUSED')
    await expect(closing.stats()).rejects.toMatchObject({ code: 'USAGE' })
  })

  test('a link of its own ends its relay with itself', async () => {
    const own = await startLink({ target: echo, delayMs: 1 })
    const socket = await dial(own)
    expect((await echoed(socket, Buffer.from('x'))).toString()).toBe('x')
    await own.close()
    await expect(own.stats()).rejects.toMatchObject({ code: 'PROCESS_FAILED' })
  })
})
