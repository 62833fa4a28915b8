import type { Connection, Stream } from '@libp2p/interface'
import { type Clock, type Logger, silentLogger, systemClock, toAndthenError } from '../base/index.ts'
import {
  CONNECTION_IDLE_TIMEOUT_MS,
  DIAL_LIMIT,
  KEEP_ALIVE_MS,
  MAX_CONNECTIONS,
  MAX_DIALS,
  MAX_STREAMS_PER_PROTOCOL,
  OPEN_STREAM_TIMEOUT_MS,
  PING_PROTOCOL,
  STREAM_LIMIT
} from './constants.ts'
import { createCounters, type NetworkCounters } from './counters.ts'
import { AccessList, type AccessInit } from './access-list.ts'
import { Gatekeeper } from './gatekeeper.ts'
import { type RateLimit, RateLimiter } from './rate-limiter.ts'
import { withDeadline } from './deadline.ts'
import { ConnectionLostError, ListenError, RateLimitedError } from './errors.ts'
import { GOAWAY_PROTOCOL } from './goaway.ts'
import type { Identity } from './identity.ts'
import { openError } from './libp2p-errors.ts'
import { type Libp2pNode, createNode } from './libp2p-node.ts'
import { freeListenAddresses } from './listen.ts'
import { MuxedStream } from './muxed-stream.ts'
import { byReach, parseDialAddress, parsePeerAddress } from './peer-address.ts'
import type { PeerStream } from './peer-stream.ts'
import { type PeerTarget, parseTarget } from './peer-target.ts'
import { measurePing } from './ping.ts'
import { ConnectionPool, type Lease } from './pool.ts'

export interface NetworkInit {
  readonly identity: Identity
  /** TCP multiaddrs; a taken port is replaced by the next free one. None: a client, which only dials. @default [] */
  readonly listen?: readonly string[]
  /** Addresses to tell others instead of those listened on. */
  readonly announce?: readonly string[]
  /** How long a connection that nothing uses stays open; 0 is for ever. @default 30 s */
  readonly connectionIdleTimeoutMs?: number
  /** How often a connection is probed, and ended without an answer; 0 is never. @default 15 s */
  readonly keepAliveMs?: number
  /** Who may connect. @default everybody */
  readonly access?: AccessInit
  /** The key of a private swarm, as `loadSwarmKey` gives it. @default a public swarm */
  readonly swarmKey?: Uint8Array
  /** What one peer, or for dials one host, may ask of this node. */
  readonly limits?: PeerLimits
  /** @default 512 */
  readonly maxConnections?: number
  /** Dials at once. @default 64 */
  readonly maxDials?: number
  /** @default silentLogger */
  readonly logger?: Logger
  /** @default systemClock */
  readonly clock?: Clock
}

export interface PeerLimits {
  /** Connections from one host. @default 20 a second, 512 at once */
  readonly dials?: RateLimit
  /** Streams from one peer. @default 100 a second, 1024 at once */
  readonly streams?: RateLimit
  /** Bytes from one peer. @default unlimited */
  readonly bytes?: RateLimit
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
  /** For all of it: dial, handshakes, negotiation. @default 10 s */
  readonly timeoutMs?: number | undefined
}

export type StreamHandler = (stream: PeerStream) => void

/** This process among its peers: who it is, where it listens, and streams to and from others. */
export interface Network {
  readonly peerId: string
  readonly counters: Readonly<NetworkCounters>
  /** Where others reach this node, each with `/p2p/<peer id>`; public first, then private, then loopback. */
  addresses(): string[]
  /** Answers streams of a protocol. The handler sets the stream's callbacks before it returns. */
  handle(protocol: string, handler: StreamHandler): Promise<void>
  /**
   * The address with the id of the peer that answers there: whoever that is, it is trusted to be the one that was meant.
   *
   * @param address a TCP multiaddr; one that ends in `/p2p/<peer id>` comes back at once
   * @throws UsageError, PeerUnreachableError, CancelledError
   */
  resolve(address: string, options?: CallOptions): Promise<string>
  /** A stream to this peer needs no dial now. */
  isConnected(peerId: string): boolean
  /** Makes sure of a connection and returns the peer's id. @throws PeerUnreachableError */
  connect(target: PeerTarget, options?: CallOptions): Promise<string>
  /**
   * Opens a stream, over a connection that is there or a new one. Resolves when the peer has accepted the protocol.
   *
   * @throws PeerUnreachableError, ProtocolNotSupportedError, ConnectionLostError, TimeoutError, CancelledError
   */
  openStream(target: PeerTarget, protocol: string, options?: CallOptions): Promise<PeerStream>
  /** Round trip time in ms, of 32 bytes and back on an open stream. @throws as openStream */
  ping(target: PeerTarget, options?: CallOptions): Promise<number>
  /** Ends all streams and connections, and stops listening. */
  close(): Promise<void>
}

/**
 * Starts the network.
 *
 * @throws UsageError for addresses that make no sense, ListenError when nothing can be listened on
 */
export async function createNetwork(init: NetworkInit): Promise<Network> {
  const logger = init.logger ?? silentLogger
  const wanted = init.listen ?? []
  const listen = await freeListenAddresses(wanted)
  const announce = (init.announce ?? []).map(address => withPeerId(address, init.identity.peerId))
  const counters = createCounters()
  const clock = init.clock ?? systemClock
  const gatekeeper = new Gatekeeper(
    { access: new AccessList(init.access), clock, counters },
    { dialLimit: init.limits?.dials ?? DIAL_LIMIT }
  )
  const node = await createNode({
    identity: init.identity,
    listen,
    gater: gatekeeper,
    swarmKey: init.swarmKey,
    keepAliveMs: init.keepAliveMs ?? KEEP_ALIVE_MS,
    maxConnections: init.maxConnections ?? MAX_CONNECTIONS,
    maxDials: init.maxDials ?? MAX_DIALS
  })
  const pool = new ConnectionPool(
    { libp2p: node.libp2p, clock, logger, counters },
    {
      idleTimeoutMs: init.connectionIdleTimeoutMs ?? CONNECTION_IDLE_TIMEOUT_MS,
      maxConnections: init.maxConnections ?? MAX_CONNECTIONS,
      maxDials: init.maxDials ?? MAX_DIALS
    }
  )
  gatekeeper.isFull = () => pool.full
  const network = new Libp2pNetwork({ node, pool, counters, clock }, { announce, limits: init.limits ?? {} })
  await network.start().catch((cause: unknown) => {
    throw new ListenError(listen.join(', '), cause instanceof Error ? cause.message : String(cause), { cause })
  })
  for (const [i, address] of listen.entries()) {
    if (address !== wanted[i])
      logger.warn({ wanted: wanted[i], listening: address }, 'port taken, listening on the next')
  }
  return network
}

function withPeerId(address: string, peerId: string): string {
  return parsePeerAddress(/\/p2p\/[^/]+$/.test(address) ? address : `${address}/p2p/${peerId}`).address
}

interface NetworkComponents {
  readonly node: Libp2pNode
  readonly pool: ConnectionPool
  readonly counters: NetworkCounters
  readonly clock: Clock
}

interface Libp2pNetworkInit {
  readonly announce: readonly string[]
  readonly limits: PeerLimits
}

class Libp2pNetwork implements Network {
  readonly peerId: string
  readonly counters: Readonly<NetworkCounters>
  readonly #components: NetworkComponents
  readonly #announce: readonly string[]
  readonly #streamLimit: RateLimiter
  readonly #byteLimit: RateLimiter | undefined

  constructor(components: NetworkComponents, init: Libp2pNetworkInit) {
    this.#components = components
    this.#announce = init.announce
    this.#streamLimit = new RateLimiter(components, init.limits.streams ?? STREAM_LIMIT)
    this.#byteLimit = init.limits.bytes && new RateLimiter(components, init.limits.bytes)
    this.counters = components.counters
    this.peerId = components.node.libp2p.peerId.toString()
  }

  async start(): Promise<void> {
    const { node, pool } = this.#components
    await node.libp2p.handle(
      GOAWAY_PROTOCOL,
      async (stream, connection) => {
        pool.peerLeft(connection)
        await stream.close()
      },
      { maxInboundStreams: 1 }
    )
    await node.libp2p.start()
  }

  addresses(): string[] {
    if (this.#announce.length > 0) return byReach(this.#announce)
    const own = this.#components.node.transport.listenAddresses()
    return byReach(own.map(address => withPeerId(address, this.peerId)))
  }

  async handle(protocol: string, handler: StreamHandler): Promise<void> {
    const { node, pool } = this.#components
    const onStream = (stream: Stream, connection: Connection): void => {
      const peer = connection.remotePeer.toString()
      const waitMs = this.#streamLimit.take(peer)
      if (waitMs > 0) stream.abort(this.#overLimit(peer, 'streams', waitMs))
      else handler(this.#wrap(stream, pool.hold(connection)))
    }
    await node.libp2p.handle(protocol, onStream, {
      maxInboundStreams: MAX_STREAMS_PER_PROTOCOL,
      maxOutboundStreams: MAX_STREAMS_PER_PROTOCOL
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

  async connect(target: PeerTarget, options: CallOptions = {}): Promise<string> {
    const { peer, addresses } = parseTarget(target)
    using lease = await this.#components.pool.acquire(peer, addresses, options)
    return lease.connection.remotePeer.toString()
  }

  async openStream(target: PeerTarget, protocol: string, options: CallOptions = {}): Promise<PeerStream> {
    const { signal, timeoutMs: limitMs = OPEN_STREAM_TIMEOUT_MS } = options
    const { peer, addresses } = parseTarget(target)
    const started = this.#components.clock.now()
    for (;;) {
      const left = Math.max(1, limitMs - (this.#components.clock.now() - started))
      const lease = await this.#components.pool.acquire(peer, addresses, { signal, timeoutMs: left })
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
    await this.#components.pool.close()
    await this.#components.node.libp2p.stop()
  }

  async #openOn(connection: Connection, protocol: string, limitMs: number, signal?: AbortSignal): Promise<Stream> {
    const peer = connection.remotePeer.toString()
    if (!this.#components.pool.isUsable(connection)) throw new ConnectionLostError(peer, 'it is closing')
    try {
      return await withDeadline({ phase: 'open stream', limitMs, signal }, deadline =>
        connection.newStream(protocol, { signal: deadline, maxOutboundStreams: MAX_STREAMS_PER_PROTOCOL })
      )
    } catch (error) {
      throw openError(peer, protocol, error)
    }
  }

  /** The stream holds the lease until it ends. */
  #wrap(stream: Stream, lease: Lease): PeerStream {
    const remotePeer = lease.connection.remotePeer.toString()
    const byteLimit = this.#byteLimit
    const meter = (bytes: number): Error | undefined => {
      const waitMs = byteLimit?.take(remotePeer, bytes) ?? 0
      return waitMs > 0 ? this.#overLimit(remotePeer, 'bytes', waitMs) : undefined
    }
    return new MuxedStream({
      stream,
      remotePeer,
      counters: this.#components.counters,
      onEnd: () => lease[Symbol.dispose](),
      meter: byteLimit && meter
    })
  }

  #overLimit(peer: string, what: 'streams' | 'bytes', waitMs: number): RateLimitedError {
    this.#components.counters.streamsLimited++
    return new RateLimitedError(peer, what, waitMs)
  }
}
