import { randomBytes } from 'node:crypto'
import type { Connection, MessageStream } from '@libp2p/interface'
import { type Clock, type Logger, TimeoutError, toAndthenError } from '../base/index.ts'
import { PING_BYTES, PING_PROTOCOL } from './constants.ts'
import type { NetworkCounters } from './counters.ts'
import { withDeadline } from './deadline.ts'
import { ConnectionLostError } from './errors.ts'

export interface KeepAliveComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly counters: NetworkCounters
}

export interface KeepAliveInit {
  /** How often a connection is pinged; 0 is never. */
  readonly intervalMs: number
  /** How long a ping may take. */
  readonly pingTimeoutMs: number
}

interface Watched {
  readonly connection: Connection
  /** When it gave its last sign of life, ms. */
  signAt: number
  /** A ping waits for its answer. */
  pinging: boolean
  cancel: () => void
}

/** One lost in a moment when this process, or the other, was too busy to answer is not enough. */
const PINGS = 2

/**
 * Ends connections whose other end does not answer any more. Each is pinged, also one that brings bytes: who sends a
 * tensor hears nothing else from its reader, and its own pings wait behind the tensor. Any byte is a sign of life, and
 * so is, while a ping waits, what the link takes off a full buffer: somebody acknowledged what went before. A ping without
 * any is repeated until there is one, or there was none for an interval and two pings: an end whose own pings wait behind
 * a tensor hears the other's that often. (libp2p's own monitor takes a ping that is late, or not answered before the next
 * is due, for the end of a connection that works.)
 */
export class KeepAlive {
  readonly #components: KeepAliveComponents
  readonly #init: KeepAliveInit
  readonly #watched = new Map<string, Watched>()

  constructor(components: KeepAliveComponents, init: KeepAliveInit) {
    this.#components = components
    this.#init = init
  }

  /** Looks after the connection until `forget`. */
  watch(connection: Connection): void {
    if (this.#init.intervalMs === 0 || connection.status !== 'open') return
    const { clock } = this.#components
    const watched: Watched = { connection, signAt: clock.now(), pinging: false, cancel: () => undefined }
    const onSign = (): void => {
      watched.signAt = clock.now()
    }
    const wire = wireOf(connection)
    wire?.addEventListener('message', onSign)
    wire?.addEventListener('drain', () => {
      if (watched.pinging) onSign()
    })
    this.#watched.set(connection.id, watched)
    this.#lookLater(watched)
  }

  forget(connection: Connection): void {
    this.#watched.get(connection.id)?.cancel()
    this.#watched.delete(connection.id)
  }

  #lookLater(watched: Watched): void {
    watched.cancel = this.#components.clock.after(this.#init.intervalMs, () => void this.#look(watched))
  }

  async #look(watched: Watched): Promise<void> {
    const { connection } = watched
    watched.pinging = true
    const alive = await this.#answers(watched)
    watched.pinging = false
    if (!this.#watched.has(connection.id)) return
    if (alive) return this.#lookLater(watched)
    const { counters, logger } = this.#components
    counters.connectionsDead++
    const peer = connection.remotePeer.toString()
    logger.debug({ peer }, 'dead connection ended')
    connection.abort(new ConnectionLostError(peer, 'it does not answer any more'))
  }

  /** Pings it until there is a sign of life; false where there was none for too long, or it is over. */
  async #answers(watched: Watched): Promise<boolean> {
    const { clock } = this.#components
    const { intervalMs, pingTimeoutMs } = this.#init
    for (let pings = 1; ; pings++) {
      const startedAt = clock.now()
      const outcome = await this.#ping(watched.connection)
      if (outcome === 'answered') watched.signAt = clock.now()
      if (watched.signAt >= startedAt) return true
      if (watched.connection.status !== 'open' || !this.#watched.has(watched.connection.id)) return false
      const isSilent = clock.now() - watched.signAt >= intervalMs + PINGS * pingTimeoutMs
      if (isSilent && (outcome === 'failed' || pings >= PINGS)) return false
      // What fails before its time would fail again at once.
      if (outcome === 'failed') return true
    }
  }

  async #ping(connection: Connection): Promise<'answered' | 'late' | 'failed'> {
    const { clock } = this.#components
    try {
      const deadline = { phase: 'ping', limitMs: this.#init.pingTimeoutMs, clock }
      await withDeadline(deadline, signal => ping(connection, signal))
      return 'answered'
    } catch (thrown) {
      // Who does not know the protocol has answered that.
      if (thrown instanceof Error && thrown.name === 'UnsupportedProtocolError') return 'answered'
      return thrown instanceof TimeoutError ? 'late' : 'failed'
    }
  }
}

/** There and back on a stream of its own, which takes no lease: being alive is no use. */
async function ping(connection: Connection, signal: AbortSignal): Promise<void> {
  const stream = await connection.newStream(PING_PROTOCOL, {
    signal,
    maxOutboundStreams: Number.POSITIVE_INFINITY,
    runOnLimitedConnection: true
  })
  const onAbort = (): void => stream.abort(toAndthenError(signal.reason))
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await new Promise<void>((resolve, reject) => {
      let received = 0
      stream.addEventListener('message', ({ data }) => {
        received += data.byteLength
        if (received >= PING_BYTES) resolve()
      })
      stream.addEventListener('close', () => reject(new Error('the ping stream was closed')), { once: true })
      stream.send(randomBytes(PING_BYTES))
    })
    await stream.close({ signal })
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/**
 * What lies beneath the encryption, a socket or a stream through a relay, by a field of the pinned libp2p. Without it, all
 * connections are pinged, whatever they bring.
 */
function wireOf(connection: Connection): Pick<MessageStream, 'addEventListener'> | undefined {
  return (connection as { maConn?: MessageStream }).maConn
}
