import { randomBytes } from 'node:crypto'
import type { Connection } from '@libp2p/interface'
import { type Clock, type Logger, toAndthenError } from '../base/index.ts'
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
  /** How often a connection is looked at; 0 is never. */
  readonly intervalMs: number
  /** How long a ping may take. */
  readonly pingTimeoutMs: number
}

/** One lost in a moment when this process, or the other, was too busy to answer is not enough. */
const PINGS = 2

/**
 * Ends connections whose other end does not answer any more. One that brings bytes is alive, whatever becomes of pings
 * that wait behind a tensor; one that is silent is pinged. (libp2p's own monitor takes a ping that is late, or not
 * answered before the next is due, for the end of a connection that works.)
 */
export class KeepAlive {
  readonly #components: KeepAliveComponents
  readonly #init: KeepAliveInit
  readonly #watched = new Map<string, () => void>()

  constructor(components: KeepAliveComponents, init: KeepAliveInit) {
    this.#components = components
    this.#init = init
  }

  /** Looks after the connection until `forget`. */
  watch(connection: Connection): void {
    if (this.#init.intervalMs === 0 || connection.status !== 'open') return
    this.#lookLater(connection, bytesRead(connection))
  }

  forget(connection: Connection): void {
    this.#watched.get(connection.id)?.()
    this.#watched.delete(connection.id)
  }

  #lookLater(connection: Connection, before: number): void {
    const cancel = this.#components.clock.after(this.#init.intervalMs, () => void this.#look(connection, before))
    this.#watched.set(connection.id, cancel)
  }

  async #look(connection: Connection, before: number): Promise<void> {
    const alive = bytesRead(connection) > before || (await this.#answers(connection))
    if (!this.#watched.has(connection.id)) return
    if (alive) return this.#lookLater(connection, bytesRead(connection))
    const { counters, logger } = this.#components
    counters.connectionsDead++
    const peer = connection.remotePeer.toString()
    logger.debug({ peer }, 'dead connection ended')
    connection.abort(new ConnectionLostError(peer, 'it does not answer any more'))
  }

  /** Whether it answers a ping, or brings anything else meanwhile. */
  async #answers(connection: Connection): Promise<boolean> {
    const { clock } = this.#components
    const before = bytesRead(connection)
    for (let left = PINGS; left > 0; left--) {
      try {
        const deadline = { phase: 'ping', limitMs: this.#init.pingTimeoutMs, clock }
        await withDeadline(deadline, signal => ping(connection, signal))
        return true
      } catch (thrown) {
        // Who does not know the protocol has answered that.
        if (thrown instanceof Error && thrown.name === 'UnsupportedProtocolError') return true
        if (bytesRead(connection) > before) return true
        if (connection.status !== 'open') return false
      }
    }
    return false
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
 * Of the socket beneath, by a field of the pinned libp2p; the same number always where there is none, as of a relayed
 * connection, which is pinged then, whatever it brings.
 */
function bytesRead(connection: Connection): number {
  const { maConn } = connection as { maConn?: { socket?: { bytesRead?: number } } }
  return maConn?.socket?.bytesRead ?? 0
}
