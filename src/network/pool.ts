import { setMaxListeners } from 'node:events'
import type { Connection, Libp2p } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { type Clock, type Logger, toAndthenError } from '../base/index.ts'
import { CONNECTION_CLOSE_TIMEOUT_MS, DIAL_TIMEOUT_MS, GOAWAY_TIMEOUT_MS, NEGOTIATION_RECHECK_MS } from './constants.ts'
import type { NetworkCounters } from './counters.ts'
import { withDeadline } from './deadline.ts'
import { ConnectionLostError, NetworkClosedError, PeerUnreachableError } from './errors.ts'
import { sayGoAway } from './goaway.ts'
import { dialError } from './libp2p-errors.ts'
import { type PoolEffect, PoolPolicy } from './pool-policy.ts'

/** Keeps a connection from being closed as idle until it is disposed of; disposing twice is harmless. */
export interface Lease extends Disposable {
  readonly connection: Connection
  /** The connection was there before, so it may have died unnoticed. */
  readonly reused: boolean
}

export interface PoolComponents {
  readonly libp2p: Libp2p
  readonly clock: Clock
  readonly logger: Logger
  readonly counters: NetworkCounters
}

export interface PoolInit {
  readonly idleTimeoutMs: number
  readonly maxConnections: number
  readonly maxDials: number
}

export interface AcquireOptions {
  readonly signal?: AbortSignal | undefined
  /** @default 10 s */
  readonly timeoutMs?: number | undefined
}

interface Dial {
  readonly addresses: readonly string[]
  readonly result: Promise<Connection>
}

/** Dials, shares and closes connections: the hands of PoolPolicy. */
export class ConnectionPool {
  readonly #components: PoolComponents
  readonly #init: PoolInit
  readonly #policy: PoolPolicy
  readonly #connections = new Map<string, Connection>()
  /** Closed as idle, and not gone yet. */
  readonly #idle = new Set<string>()
  readonly #dials = new Map<string, Dial>()
  #cancelTick: () => void = () => undefined
  #closed = false

  constructor(components: PoolComponents, init: PoolInit) {
    this.#components = components
    this.#init = init
    this.#policy = new PoolPolicy({ ...init, goAwayTimeoutMs: GOAWAY_TIMEOUT_MS })
    components.libp2p.addEventListener('connection:open', this.#onOpen)
    components.libp2p.addEventListener('connection:close', this.#onClose)
  }

  /** No inbound connection should be accepted now. */
  get full(): boolean {
    return this.#policy.full
  }

  /** A lease on a connection to this peer would need no dial. */
  isConnected(peer: string): boolean {
    return this.#policy.usable(peer) !== undefined
  }

  /** Leases held now. */
  get leases(): number {
    return this.#policy.leases
  }

  /**
   * A lease on a connection to the peer, dialled unless one is there. However many ask at once, one dials, and one that
   * gives up does not stop it for the others.
   *
   * @throws PeerUnreachableError, CancelledError, NetworkClosedError
   */
  async acquire(peer: string, addresses: readonly string[], options: AcquireOptions): Promise<Lease> {
    if (this.#closed) throw new NetworkClosedError()
    const existing = this.#connections.get(this.#policy.usable(peer) ?? '')
    if (existing !== undefined) return this.#lease(existing, true)
    const { signal, timeoutMs: limitMs = DIAL_TIMEOUT_MS } = options
    try {
      const connection = await withDeadline({ phase: 'dial', limitMs, signal }, () =>
        this.#dial(peer, addresses, limitMs)
      )
      return this.#lease(connection, false)
    } catch (error) {
      throw dialError(peer, addresses, error)
    }
  }

  /** A lease on a connection that is there, as for a stream that came in. */
  hold(connection: Connection): Lease {
    return this.#lease(connection, true)
  }

  /** Whether a stream may still be opened; not once GOAWAY was said by either end. */
  isUsable(connection: Connection): boolean {
    return this.#policy.isUsable(connection.id)
  }

  /** A stream could not be opened, though the connection looked alive: the next one goes over another. */
  distrust(connection: Connection): void {
    this.peerLeft(connection)
  }

  /** The peer said GOAWAY. */
  peerLeft(connection: Connection): void {
    this.#policy.peerLeft(connection.id, this.#components.clock.now())
    this.#armTick()
  }

  /** Closes all connections, letting what was sent arrive. */
  async close(): Promise<void> {
    this.#closed = true
    this.#cancelTick()
    await Promise.all([...this.#connections.values()].map(closeConnection))
  }

  #lease(connection: Connection, reused: boolean): Lease {
    if (!this.#policy.acquire(connection.id)) {
      throw new ConnectionLostError(connection.remotePeer.toString(), 'it closed as it was about to be used')
    }
    let held = true
    return {
      connection,
      reused,
      [Symbol.dispose]: () => {
        if (!held) return
        held = false
        this.#run(this.#policy.release(connection.id, this.#components.clock.now()))
      }
    }
  }

  #dial(peer: string, addresses: readonly string[], limitMs: number): Promise<Connection> {
    const pending = this.#dials.get(peer)
    if (pending !== undefined) {
      const covered = addresses.every(address => pending.addresses.includes(address))
      return covered ? pending.result : pending.result.catch(() => this.#dial(peer, addresses, limitMs))
    }
    if (this.#dials.size >= this.#init.maxDials || this.#policy.full) {
      return Promise.reject(new PeerUnreachableError(peer, addresses, 'too-many'))
    }
    const { libp2p, counters } = this.#components
    counters.dialsStarted++
    const target = addresses.length === 0 ? peerIdFromString(peer) : addresses.map(address => multiaddr(address))
    const result = withDeadline({ phase: 'dial', limitMs }, signal => libp2p.dial(target, { signal, force: true }))
      .catch((error: unknown) => {
        counters.dialsFailed++
        throw error
      })
      .finally(() => this.#dials.delete(peer))
    this.#dials.set(peer, { addresses, result })
    return result
  }

  readonly #onOpen = (event: CustomEvent<Connection>): void => {
    const connection = event.detail
    const { clock, counters } = this.#components
    counters.connectionsOpened++
    counters.connectionsOpen++
    this.#connections.set(connection.id, connection)
    this.#run(this.#policy.opened(connection.id, connection.remotePeer.toString(), clock.now()))
  }

  readonly #onClose = (event: CustomEvent<Connection>): void => {
    const { counters } = this.#components
    if (!this.#connections.delete(event.detail.id)) return
    counters.connectionsOpen--
    if (!this.#idle.delete(event.detail.id)) counters.connectionsEnded++
    this.#policy.closed(event.detail.id)
    this.#armTick()
  }

  #run(effects: readonly PoolEffect[]): void {
    for (const { kind, connection: id } of effects) {
      const connection = this.#connections.get(id)
      if (connection === undefined) continue
      if (kind === 'goaway') this.#sayGoAway(connection)
      else this.#closeIdle(connection)
    }
    this.#armTick()
  }

  /** Sets the one timer to the policy's next decision. */
  #armTick(): void {
    this.#cancelTick()
    if (this.#closed) return
    const { clock } = this.#components
    const wait = this.#policy.nextTick() - clock.now()
    if (wait === Number.POSITIVE_INFINITY) return
    this.#cancelTick = clock.after(Math.max(0, wait), () => this.#run(this.#policy.tick(clock.now())))
  }

  #sayGoAway(connection: Connection): void {
    const { clock, logger } = this.#components
    sayGoAway(connection, GOAWAY_TIMEOUT_MS, clock)
      .catch((error: unknown) => {
        // Unknown protocol, no answer, connection gone: as good as an answer.
        logger.debug({ peer: connection.remotePeer.toString(), error: String(error) }, 'goaway unanswered')
      })
      .finally(() => this.#run(this.#policy.answered(connection.id)))
  }

  #closeIdle(connection: Connection): void {
    const { clock, counters, logger } = this.#components
    const negotiating = connection.streams.some(stream => stream.protocol === '')
    if (negotiating) {
      // Its handler will take a lease, or its negotiation times out.
      clock.after(NEGOTIATION_RECHECK_MS, () => this.#run(this.#policy.retryClose(connection.id)))
      return
    }
    counters.connectionsIdleClosed++
    this.#idle.add(connection.id)
    logger.debug({ peer: connection.remotePeer.toString() }, 'idle connection closed')
    void closeConnection(connection)
  }
}

async function closeConnection(connection: Connection): Promise<void> {
  const signal = AbortSignal.timeout(CONNECTION_CLOSE_TIMEOUT_MS)
  // Every stream listens to it.
  setMaxListeners(0, signal)
  try {
    await connection.close({ signal })
  } catch (error) {
    connection.abort(toAndthenError(error))
  }
}
