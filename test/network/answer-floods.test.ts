import { Uint8ArrayList } from 'uint8arraylist'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { MAX_STREAMS, MAX_WAITING_PIECES, PING_BYTES, PING_PROTOCOL } from '../../src/network/constants.ts'
import { silentLibp2pLog } from '../../src/network/libp2p-log.ts'
import { answerPings } from '../../src/network/ping-responder.ts'
import { ANSWERED, tunedYamux } from '../../src/network/yamux-tuning.ts'
import { type Attacker, startAttacker, yamuxHeader } from './attacker.ts'
import { Cluster, until } from './cluster.ts'

// What is answered at once, below all streams, costs who asks for it nothing, and reading the answers is up to him.

const PING = 2
const WINDOW_UPDATE = 1
const SYN = 1
const ping = (id: number): Uint8Array => yamuxHeader({ type: PING, flags: SYN, length: id })
const stream = (nth: number): Uint8Array =>
  yamuxHeader({ type: WINDOW_UPDATE, flags: SYN, streamId: 2 * nth + 1, length: 0 })
const many = (count: number, frame: (nth: number) => Uint8Array): Uint8Array =>
  Buffer.concat(Array.from({ length: count }, (_, nth) => frame(nth)))

/** The other end of a multiplexer, who reads nothing. */
class Wire extends EventTarget {
  readonly log = silentLibp2pLog.forComponent('')
  readonly direction = 'inbound'
  readonly writeBuffer = new Uint8ArrayList()
  endedBy: Error | undefined

  send(bytes: Uint8Array | Uint8ArrayList): boolean {
    this.writeBuffer.append(bytes)
    return false
  }

  abort(error: Error): void {
    this.endedBy = error
  }

  brings(bytes: Uint8Array): void {
    this.dispatchEvent(Object.assign(new Event('message'), { data: bytes }))
  }
}

function multiplexer(): { wire: Wire; answered: () => number } {
  const wire = new Wire()
  const muxer = tunedYamux()().createStreamMuxer(wire as never)
  let count = 0
  ;(muxer as EventTarget).addEventListener(ANSWERED, () => count++)
  muxer.addEventListener('stream', () => undefined)
  return { wire, answered: () => count }
}

describe('a connection on which answers are not read', () => {
  it.each<[string, Uint8Array, (nth: number) => Uint8Array]>([
    ['pings', new Uint8Array(0), ping],
    ['streams that are one too many', many(MAX_STREAMS, stream), nth => stream(MAX_STREAMS + nth)],
    [
      'data, a byte at a time',
      stream(0),
      () => Buffer.concat([yamuxHeader({ type: 0, streamId: 1, length: 1 }), Buffer.of(1)])
    ]
  ])('is ended when too many wait, to %s', (_, before, frame) => {
    const { wire } = multiplexer()
    wire.brings(before)
    wire.writeBuffer.consume(wire.writeBuffer.byteLength)
    wire.brings(many(MAX_WAITING_PIECES, frame))
    expect(wire.endedBy).toBeUndefined()
    wire.brings(many(1, () => frame(MAX_WAITING_PIECES)))
    expect(wire.endedBy?.message).toContain('answers wait unread')
  })
})

describe('what the multiplexer answers', () => {
  it('is told, each ping and each stream that is one too many, and no stream that is let in', () => {
    const { wire, answered } = multiplexer()
    wire.brings(many(3, ping))
    expect(answered()).toBe(3)
    wire.brings(many(MAX_STREAMS, stream))
    expect(answered()).toBe(3)
    wire.brings(many(2, nth => stream(MAX_STREAMS + nth)))
    expect([answered(), wire.endedBy]).toEqual([5, undefined])
  })

  const cluster = new Cluster()
  let attacker: Attacker | undefined
  afterEach(async () => {
    await attacker?.stop()
    await cluster.close()
  })

  it.each<[string, number, (nth: number) => Uint8Array]>([
    ['pings', 1_100, ping],
    ['streams that are one too many', MAX_STREAMS + 1_100, nth => stream(100 + nth)]
  ])('is bounded for who reads it, too: who pours out %s has its connection ended', async (_, count, frame) => {
    const server = await cluster.server()
    attacker = await startAttacker()
    const { socket, wire } = await attacker.connect(server.addresses()[0] ?? '')
    await until(() => server.counters.connectionsOpen === 1)
    // His libp2p would end the connection itself, for answers to what it has not asked.
    socket.pause()
    wire.send(many(count, frame))
    await until(() => server.counters.connectionsOpen === 0)
    expect(server.counters.connectionsFlooding).toBe(1)
    const client = await cluster.client()
    expect(await client.ping(server.addresses())).toBeGreaterThan(0)
  })
})

describe('a stream of pings', () => {
  class PingStream extends EventTarget {
    readonly protocol = PING_PROTOCOL
    writeStatus = 'writable'
    remoteWriteStatus = 'writable'
    /** What is sent and not taken by the connection. */
    writeBufferLength = 0
    reads = true
    readonly close = vi.fn(() => Promise.resolve())
    readonly abort = vi.fn((_: Error) => {
      this.writeStatus = 'closed'
      this.dispatchEvent(new Event('close'))
    })
    readonly send = vi.fn((bytes: Uint8Array) => {
      if (!this.reads) this.writeBufferLength += bytes.byteLength
      return this.reads
    })

    brings(bytes: number): void {
      this.dispatchEvent(Object.assign(new Event('message'), { data: new Uint8Array(bytes) }))
    }
  }
  const answered = (pings = new PingStream()): PingStream => {
    answerPings(pings as never)
    return pings
  }

  it('is answered with what it brings, as often as it likes while that is read, and closed when the other end has', () => {
    const pings = answered()
    for (let i = 0; i < 10_000; i++) pings.brings(PING_BYTES)
    expect([pings.send.mock.calls.length, pings.abort.mock.calls.length]).toEqual([10_000, 0])
    pings.dispatchEvent(new Event('remoteCloseWrite'))
    expect(pings.close).toHaveBeenCalledOnce()
    const late = new PingStream()
    late.remoteWriteStatus = 'closed'
    expect(answered(late).close).toHaveBeenCalledOnce()
  })

  it('ends where the connection beneath it takes nothing any more, and nothing else does', () => {
    const pings = answered()
    pings.send.mockImplementation(() => {
      throw new Error('Cannot write to a stream that is closing')
    })
    pings.brings(PING_BYTES)
    pings.brings(PING_BYTES)
    expect([pings.send.mock.calls.length, pings.abort.mock.calls.length]).toEqual([1, 1])
  })

  it('waits behind what else is sent, and ends where more wait than anybody sends who reads', () => {
    const pings = answered()
    pings.reads = false
    for (let i = 0; i < 2_048; i++) pings.brings(PING_BYTES)
    expect(pings.abort).not.toHaveBeenCalled()
    for (let i = 0; i < 10; i++) pings.brings(PING_BYTES)
    expect([pings.abort.mock.calls.length, pings.send.mock.calls.length]).toEqual([1, 2_049])
  })
})
