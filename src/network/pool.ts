import { setMaxListeners } from 'node:events'
import type { Connection, Libp2p } from '@libp2p/interface'
import { type Clock, type Logger, toAndthenError } from '../base/index.ts'
import {
  ASKED_DIAL_TIMEOUT_MS,
  CONNECTION_CLOSE_TIMEOUT_MS,
  DIAL_TIMEOUT_MS,
  GOAWAY_TIMEOUT_MS,
  GOODBYE_SHARE,
  NEGOTIATION_RECHECK_MS,
  OPEN_STREAM_TIMEOUT_MS
} from './constants.ts'
import type { NetworkCounters } from './counters.ts'
import { Dialer, type DialerComponents } from './dialer.ts'
import { ConnectionLostError, NetworkClosedError } from './errors.ts'
import { GOAWAY_PROTOCOL, sayGoAway } from './goaway.ts'
import type { AcquireOptions, Lease } from './lease.ts'
import { dialError } from './libp2p-errors.ts'
import { parsePeerAddress, relayOf } from './peer-address.ts'
import { type PoolEffect, PoolPolicy } from './pool-policy.ts'
import type { SharedHosts } from './shared-hosts.ts'

export interface PoolComponents extends Pick<DialerComponents, 'wire' | 'refusal'> {
  readonly libp2p: Libp2p
  readonly clock: Clock
  readonly logger: Logger
  readonly counters: NetworkCounters
  readonly shared: SharedHosts
}

export interface PoolInit {
  readonly idleTimeoutMs: number
  readonly maxConnections: number
  /** Connections that may come from one host. @default maxConnections */
  readonly maxFrom?: (host: string) => number
  readonly maxDials: number
  /** Whether something uses a connection that takes no lease. @default nothing does */
  readonly isNeeded?: (connection: Connection) => boolean
}

/** Dials, shares and closes connections: the hands of PoolPolicy. */
export class ConnectionPool {
  readonly #components: PoolComponents
  readonly #policy: PoolPolicy
  readonly #dialer: Dialer
  /** How long an end of a connection that idled is waited for. */
  readonly #goAwayMs: number
  readonly #closeMs: number
  readonly #connections = new Map<string, Connection>()
  /** Closed as idle, and not gone yet. */
  readonly #idle = new Set<string>()
  #cancelTick: () => void = () => undefined
  #closed = false

  constructor(components: PoolComponents, init: PoolInit) {
    this.#components = components
    const { idleTimeoutMs, maxConnections, maxFrom, maxDials, isNeeded } = init
    // A connection is gone within a tenth of the time that it idled, also where the other end does not answer any more.
    const share = idleTimeoutMs === 0 ? Number.POSITIVE_INFINITY : idleTimeoutMs * GOODBYE_SHARE
    this.#goAwayMs = Math.min(GOAWAY_TIMEOUT_MS, share)
    this.#closeMs = Math.min(CONNECTION_CLOSE_TIMEOUT_MS, share)
    this.#policy = new PoolPolicy({
      idleTimeoutMs,
      maxConnections,
      ...(maxFrom !== undefined && { maxFrom }),
      goAwayTimeoutMs: this.#goAwayMs,
      // What arrived as it was said has either found its handler by then, or its negotiation has timed out.
      graceMs: OPEN_STREAM_TIMEOUT_MS,
      isNeeded: id => {
        const connection = this.#connections.get(id)
        return connection !== undefined && isNeeded?.(connection) === true
      }
    })
    this.#dialer = new Dialer(
      {
        ...components,
        acquireRelay: (address, options) => this.acquire(parsePeerAddress(address).peerId, [address], options),
        isFull: () => this.#policy.full
      },
      { maxDials }
    )
    components.libp2p.addEventListener('connection:open', this.#onOpen)
    components.libp2p.addEventListener('connection:close', this.#onClose)
  }

  /** No inbound connection should be accepted now. */
  get full(): boolean {
    return this.#policy.full
  }

  /** None from this host should. */
  isFullFrom(host: string): boolean {
    return this.#policy.isFullFrom(host)
  }

  /** A lease on a connection to this peer would need no dial. */
  isConnected(peer: string): boolean {
    return this.#policy.usable(peer) !== undefined
  }

  /** See Network. */
  hasAnswered(address: string): boolean {
    return this.#dialer.hasAnswered(address)
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
    const { signal, askedBy, timeoutMs = DIAL_TIMEOUT_MS } = options
    const limitMs = askedBy === undefined ? timeoutMs : Math.min(timeoutMs, ASKED_DIAL_TIMEOUT_MS)
    try {
      const connection = await this.#dialer.dial(peer, addresses, { limitMs, signal, askedBy })
      return this.#lease(connection, false)
    } catch (error) {
      throw dialError(peer, addresses, error)
    }
  }

  /**
   * A lease on a connection that is there, as for a stream that came in.
   *
   * @throws ConnectionLostError where it is gone, or should have been long ago: it is ended then
   */
  hold(connection: Connection): Lease {
    if (this.#policy.overstays(connection.id, this.#components.clock.now())) throw this.#expel(connection)
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
    this.#dialer.close()
    await Promise.all([...this.#connections.values()].map(connection => closeConnection(connection)))
  }

  #lease(connection: Connection, reused: boolean): Lease {
    if (!this.#policy.acquire(connection.id)) {
      throw new ConnectionLostError(connection.remotePeer.toString(), 'it closed as it was about to be used')
    }
    const { counters } = this.#components
    counters.leasesOpen++
    let held = true
    return {
      connection,
      reused,
      [Symbol.dispose]: () => {
        if (!held) return
        held = false
        counters.leasesOpen--
        this.#run(this.#policy.release(connection.id, this.#components.clock.now()))
      }
    }
  }

  readonly #onOpen = (event: CustomEvent<Connection>): void => {
    const connection = event.detail
    const { clock, counters, shared } = this.#components
    counters.connectionsOpened++
    if (connection.status !== 'open') {
      // What came with the handshake has ended it already, and no event says so: it would count as open for ever.
      counters.connectionsEnded++
      return
    }
    counters.connectionsOpen++
    this.#connections.set(connection.id, connection)
    const relayed = relayOf(connection.remoteAddr.toString()) !== undefined
    const host = connection.direction === 'inbound' && !relayed ? shared.sourceOf(connection) : undefined
    this.#run(this.#policy.opened(connection.id, connection.remotePeer.toString(), clock.now(), { relayed, host }))
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
      else if (kind === 'close') this.#closeIdle(connection)
      else if (kind === 'expel') this.#expel(connection)
      else this.#refuse(connection, kind)
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
    sayGoAway(connection, this.#goAwayMs, clock)
      .catch((error: unknown) => {
        // Unknown protocol, no answer, connection gone: as good as an answer.
        logger.debug({ peer: connection.remotePeer.toString(), error: String(error) }, 'goaway unanswered')
      })
      .finally(() => this.#run(this.#policy.answered(connection.id, clock.now())))
  }

  #refuse(connection: Connection, why: 'refuse' | 'refuse-host'): void {
    const { counters } = this.#components
    if (why === 'refuse') counters.refusedFull++
    else counters.refusedByHost++
    connection.abort(new ConnectionLostError(connection.remotePeer.toString(), 'too many connections are open'))
  }

  #expel(connection: Connection): ConnectionLostError {
    const { counters, logger } = this.#components
    const peer = connection.remotePeer.toString()
    const error = new ConnectionLostError(peer, 'the other end went on after it was told that this connection closes')
    counters.connectionsOverstayed++
    logger.debug({ peer }, 'a connection that was to close was ended')
    connection.abort(error)
    return error
  }

  #closeIdle(connection: Connection): void {
    const { clock, counters, logger } = this.#components
    // Not leased, so not with its handler yet: it will take a lease, or its negotiation times out.
    const arriving = connection.streams.some(stream => stream.protocol !== GOAWAY_PROTOCOL)
    if (arriving) {
      clock.after(NEGOTIATION_RECHECK_MS, () => this.#run(this.#policy.retryClose(connection.id, clock.now())))
      return
    }
    counters.connectionsIdleClosed++
    this.#idle.add(connection.id)
    logger.debug({ peer: connection.remotePeer.toString() }, 'idle connection closed')
    void closeConnection(connection, this.#closeMs)
  }
}

async function closeConnection(connection: Connection, limitMs = CONNECTION_CLOSE_TIMEOUT_MS): Promise<void> {
  const signal = AbortSignal.timeout(limitMs)
  // Every stream listens to it.
  setMaxListeners(0, signal)
  try {
    await connection.close({ signal })
  } catch (error) {
    connection.abort(toAndthenError(error))
  }
}
