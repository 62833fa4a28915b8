import type { Connection, Stream } from '@libp2p/interface'
import { RELAY_V2_STOP_CODEC } from '@libp2p/circuit-relay-v2'
import { type Clock, type Logger, toAndthenError } from '../base/index.ts'
import { GOAWAY_PROTOCOL } from './goaway.ts'
import {
  MAX_SERVICE_STREAMS,
  MAX_STREAMS_PER_PROTOCOL,
  OPEN_STREAM_TIMEOUT_MS,
  PING_PROTOCOL,
  STREAM_LIMIT
} from './constants.ts'
import type { NetworkCounters } from './counters.ts'
import { withDeadline } from './deadline.ts'
import { ConnectionLostError, RateLimitedError } from './errors.ts'
import type { Lease } from './lease.ts'
import { openError } from './libp2p-errors.ts'
import type { Libp2pNode } from './libp2p-node.ts'
import { MuxedStream } from './muxed-stream.ts'
import type {
  CallOptions,
  HandleOptions,
  Network,
  PeerLimits,
  Reachability,
  Relaying,
  StreamHandler
} from './network.ts'
import { byReach, isPublicAddress, parseDialAddress, provesReach, relayOf, withPeerId } from './peer-address.ts'
import type { PeerStream } from './peer-stream.ts'
import { type PeerTarget, parseTarget } from './peer-target.ts'
import { measurePing } from './ping.ts'
import { answerPings } from './ping-responder.ts'
import type { ConnectionPool } from './pool.ts'
import { PeerLimiter } from './peer-limiter.ts'
import type { RelayReservations } from './relay-reservations.ts'
import type { SharedHosts } from './shared-hosts.ts'

interface NetworkComponents {
  readonly node: Libp2pNode
  readonly pool: ConnectionPool
  readonly reservations: RelayReservations
  readonly counters: NetworkCounters
  readonly shared: SharedHosts
  readonly clock: Clock
  readonly logger: Logger
}

interface Libp2pNetworkInit {
  readonly announce: readonly string[]
  readonly limits: PeerLimits
}

/** A Network over libp2p. */
export class Libp2pNetwork implements Network {
  readonly peerId: string
  readonly counters: Readonly<NetworkCounters>
  readonly #components: NetworkComponents
  readonly #announce: readonly string[]
  readonly #streamLimit: PeerLimiter
  readonly #byteLimit: PeerLimiter | undefined
  #reached = false

  constructor(components: NetworkComponents, init: Libp2pNetworkInit) {
    this.#components = components
    this.#announce = init.announce
    this.#streamLimit = new PeerLimiter(components, init.limits.streams ?? STREAM_LIMIT)
    this.#byteLimit = init.limits.bytes && new PeerLimiter(components, init.limits.bytes)
    this.counters = components.counters
    this.peerId = components.node.libp2p.peerId.toString()
  }

  async start(): Promise<void> {
    const { node, pool, reservations } = this.#components
    await node.libp2p.handle(
      GOAWAY_PROTOCOL,
      async (stream, connection) => {
        pool.peerLeft(connection)
        await stream.close()
      },
      { maxInboundStreams: 1, runOnLimitedConnection: true }
    )
    const pings = { maxInboundStreams: MAX_SERVICE_STREAMS, runOnLimitedConnection: true }
    await node.libp2p.handle(PING_PROTOCOL, answerPings, pings)
    node.libp2p.addEventListener('connection:open', ({ detail }) => this.#noteReach(detail))
    await node.libp2p.start()
    await reservations.start()
  }

  addresses(): string[] {
    const { node, reservations } = this.#components
    const relayed = reservations.addresses(this.peerId)
    if (this.#announce.length > 0) return byReach([...this.#announce, ...relayed])
    const own = [...node.transport.listenAddresses(), ...this.#mapped()].map(address =>
      withPeerId(address, this.peerId)
    )
    return byReach([...new Set(own), ...relayed])
  }

  get reachability(): Reachability {
    if (this.#reached || this.#mapped().length > 0) return 'direct'
    return this.#components.reservations.held > 0 ? 'relay' : 'unknown'
  }

  relaying(): Relaying {
    const { node, reservations } = this.#components
    const ends = node.libp2p.getConnections().flatMap(({ streams }) => streams)
    return {
      places: node.relayed?.size ?? 0,
      connections: ends.filter(end => end.protocol === RELAY_V2_STOP_CODEC && end.direction === 'outbound').length,
      relays: reservations.held
    }
  }

  async handle(protocol: string, handler: StreamHandler, options: HandleOptions = {}): Promise<void> {
    const { node, pool } = this.#components
    const { onOverLimit } = options
    const onStream = (stream: Stream, connection: Connection): void => {
      const asker = this.#components.shared.askerOf(connection)
      const waitMs = this.#streamLimit.take(asker)
      if (waitMs === 0) return handler(this.#wrap(stream, pool.hold(connection), onOverLimit))
      const error = this.#overLimit(asker.peer, 'streams', waitMs)
      if (onOverLimit === undefined) return stream.abort(error)
      const refused = this.#wrap(stream, pool.hold(connection))
      refused.onData = () => undefined
      onOverLimit(refused, error)
      refused.close().catch((thrown: unknown) => refused.abort(toAndthenError(thrown)))
    }
    await node.libp2p.handle(protocol, onStream, {
      maxInboundStreams: MAX_STREAMS_PER_PROTOCOL,
      maxOutboundStreams: MAX_STREAMS_PER_PROTOCOL,
      runOnLimitedConnection: true
    })
  }

  async resolve(address: string, options: CallOptions = {}): Promise<string> {
    const { address: known, peerId } = parseDialAddress(address)
    if (peerId !== undefined) return known
    using lease = await this.#components.pool.acquire(known, [known], options)
    return withPeerId(known, lease.connection.remotePeer.toString())
  }

  isConnected(peerId: string): boolean {
    return this.#components.pool.isConnected(peerId)
  }

  hasAnswered(address: string): boolean {
    return this.#components.pool.hasAnswered(address)
  }

  async connect(target: PeerTarget, options: CallOptions = {}): Promise<string> {
    const { peer, addresses } = parseTarget(target)
    using lease = await this.#components.pool.acquire(peer, addresses, options)
    return lease.connection.remotePeer.toString()
  }

  async openStream(target: PeerTarget, protocol: string, options: CallOptions = {}): Promise<PeerStream> {
    const { signal, askedBy, timeoutMs: limitMs = OPEN_STREAM_TIMEOUT_MS } = options
    const { peer, addresses } = parseTarget(target)
    const started = this.#components.clock.now()
    for (;;) {
      const left = Math.max(1, limitMs - (this.#components.clock.now() - started))
      const lease = await this.#components.pool.acquire(peer, addresses, { signal, askedBy, timeoutMs: left })
      try {
        return this.#wrap(await this.#openOn(lease.connection, protocol, left, signal), lease)
      } catch (error) {
        lease[Symbol.dispose]()
        // Nothing was sent yet, so trying again is safe. A connection just dialled that fails will not do better.
        if (!(error instanceof ConnectionLostError && lease.reused)) throw error
        this.#components.pool.distrust(lease.connection)
      }
    }
  }

  async ping(target: PeerTarget, options: CallOptions = {}): Promise<number> {
    const limitMs = options.timeoutMs ?? OPEN_STREAM_TIMEOUT_MS
    const stream = await this.openStream(target, PING_PROTOCOL, options)
    try {
      const roundTrip = await withDeadline({ phase: 'ping', limitMs, signal: options.signal }, () =>
        measurePing(stream)
      )
      void stream.close()
      return roundTrip
    } catch (error) {
      stream.abort(toAndthenError(error))
      throw error
    }
  }

  async close(): Promise<void> {
    this.#components.reservations.close()
    await this.#components.pool.close()
    await this.#components.node.libp2p.stop()
  }

  async #openOn(connection: Connection, protocol: string, limitMs: number, signal?: AbortSignal): Promise<Stream> {
    const peer = connection.remotePeer.toString()
    if (!this.#components.pool.isUsable(connection)) throw new ConnectionLostError(peer, 'it is closing')
    try {
      const stream = await withDeadline({ phase: 'open stream', limitMs, signal }, deadline =>
        connection.newStream(protocol, {
          signal: deadline,
          maxOutboundStreams: MAX_STREAMS_PER_PROTOCOL,
          runOnLimitedConnection: true
        })
      )
      if (connection.status !== 'open') throw new ConnectionLostError(peer, 'it closed as a stream was opened')
      return stream
    } catch (error) {
      throw openError(peer, protocol, error)
    }
  }

  /** The stream holds the lease until it ends. */
  #wrap(stream: Stream, lease: Lease, onOverLimit?: HandleOptions['onOverLimit']): PeerStream {
    const asker = this.#components.shared.askerOf(lease.connection)
    const { peer: remotePeer, host: remoteHost } = asker
    const byteLimit = this.#byteLimit
    const meter = (bytes: number): Error | undefined => {
      const waitMs = byteLimit?.take(asker, bytes) ?? 0
      if (waitMs === 0) return undefined
      const error = this.#overLimit(remotePeer, 'bytes', waitMs)
      onOverLimit?.(wrapped, error)
      return error
    }
    const wrapped: PeerStream = new MuxedStream({
      stream,
      remotePeer,
      remoteHost,
      counters: this.#components.counters,
      onEnd: () => lease[Symbol.dispose](),
      meter: byteLimit && meter
    })
    return wrapped
  }

  /** Public addresses that are neither listened on nor announced, and that AutoNAT has found to lead here. */
  #mapped(): string[] {
    const { node } = this.#components
    const listened = node.transport.listenAddresses().map(address => withPeerId(address, this.peerId))
    const own = new Set([...listened, ...this.#announce])
    return node.libp2p
      .getMultiaddrs()
      .map(String)
      .filter(address => isPublicAddress(address) && relayOf(address) === undefined && !own.has(address))
  }

  #noteReach({ direction, remoteAddr }: Connection): void {
    if (this.#reached || direction !== 'inbound' || !provesReach(remoteAddr.toString())) return
    this.#reached = true
    this.#components.logger.info({}, 'reachable directly')
  }

  #overLimit(peer: string, what: 'streams' | 'bytes', waitMs: number): RateLimitedError {
    const { counters } = this.#components
    if (what === 'streams') counters.streamsOverCount++
    else counters.streamsOverBytes++
    return new RateLimitedError(peer, what, waitMs)
  }
}
