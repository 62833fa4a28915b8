import type { Clock, Logger } from '../base/index.ts'
import type { AccessInit } from './access-list.ts'
import type { NetworkCounters } from './counters.ts'
import type { RateLimitedError } from './errors.ts'
import type { Identity } from './identity.ts'
import type { RelayingInit } from './libp2p-node.ts'
import type { PeerStream } from './peer-stream.ts'
import type { PeerTarget } from './peer-target.ts'
import type { RateLimit } from './token-buckets.ts'

export interface NetworkInit {
  readonly identity: Identity
  /** TCP multiaddrs; a taken port is replaced by the next free one. None: a client, which only dials. @default [] */
  readonly listen?: readonly string[]
  /** Addresses to tell others instead of those listened on. */
  readonly announce?: readonly string[]
  /** How long a connection that nothing uses stays open; 0 is for ever. @default 30 s */
  readonly connectionIdleTimeoutMs?: number
  /** How often a connection is pinged, and ended where nothing answers; 0 is never. @default 10 s */
  readonly keepAliveMs?: number
  /** After how long without a byte TCP itself probes the other end; 0 is never. @default 1 min */
  readonly tcpKeepAliveMs?: number
  /** Who may connect. @default everybody */
  readonly access?: AccessInit
  /**
   * IP addresses and ranges that stand for many, as a proxy's or a router's: each peer that comes from there counts for itself,
   * and no limit of one host for all of them. @default []
   */
  readonly sharedHosts?: readonly string[]
  /** The key of a private swarm, as `loadSwarmKey` gives it. @default a public swarm */
  readonly swarmKey?: Uint8Array
  /** What one peer, or for dials one host, may ask of this node. */
  readonly limits?: PeerLimits
  /** Relays to be reached through as well: TCP multiaddrs that end in `/p2p/<peer id>`. @default [] */
  readonly relays?: readonly string[]
  /** Relays for others, within these bounds. @default it does not */
  readonly relaying?: RelayingInit | undefined
  /** libp2p's own hole punching (DCUtR): turns relayed connections into direct ones. @default false */
  readonly holePunching?: boolean
  /** libp2p's own port forwarding by UPnP, with AutoNAT to check it. @default false */
  readonly upnp?: boolean
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
  /**
   * Connections at once from one host, and through this node where it relays. @default a quarter of maxConnections, 16 at
   * the least; all of them from a private or loopback address
   */
  readonly connections?: number
  /** Connections opened from one host. @default 20 a second, 512 at once */
  readonly dials?: RateLimit
  /** Streams from one peer; eight times as many from one host. @default 100 a second, 1024 at once */
  readonly streams?: RateLimit
  /** Bytes from one peer; eight times as many from one host. @default unlimited */
  readonly bytes?: RateLimit
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
  /** For all of it: dial, handshakes, negotiation. @default 10 s */
  readonly timeoutMs?: number | undefined
  /**
   * The host for whose sake a peer is dialled at addresses that were named from there. Such a dial has 5 s; its place is
   * given to another where that host has more of them than others; and addresses that just did not answer are not tried.
   * @default it is for this node's own
   */
  readonly askedBy?: string | undefined
}

export type StreamHandler = (stream: PeerStream) => void

export interface HandleOptions {
  /**
   * Told of a peer that is over a limit: in place of the handler for a stream that is one too many, which is closed
   * after, or about one that brought too many bytes, which is reset after. It may say so to the peer, in its protocol's
   * words. @default the peer is not told why
   */
  readonly onOverLimit?: (stream: PeerStream, error: RateLimitedError) => void
}

/** `direct`: others were seen to connect. `relay`: through one only, as far as known. */
export type Reachability = 'direct' | 'relay' | 'unknown'

/** What this node does for others, and they for it. */
export interface Relaying {
  /** Nodes that may be reached through this one. */
  readonly places: number
  /** Connections that go through this one now. */
  readonly connections: number
  /** Relays that this node is reached through. */
  readonly relays: number
}

/** This process among its peers: who it is, where it listens, and streams to and from others. */
export interface Network {
  readonly peerId: string
  readonly counters: Readonly<NetworkCounters>
  /**
   * Where others reach this node, each with `/p2p/<peer id>`; public first, then private, then loopback, and of each
   * kind those through relays last.
   */
  addresses(): string[]
  /** Whether others reach this node, as far as seen until now. */
  readonly reachability: Reachability
  relaying(): Relaying
  /** Answers streams of a protocol. The handler sets the stream's callbacks before it returns. */
  handle(protocol: string, handler: StreamHandler, options?: HandleOptions): Promise<void>
  /**
   * The address with the id of the peer that answers there: whoever that is, it is trusted to be the one that was meant.
   *
   * @param address a TCP multiaddr; one that ends in `/p2p/<peer id>` comes back at once
   * @throws UsageError, PeerUnreachableError, CancelledError
   */
  resolve(address: string, options?: CallOptions): Promise<string>
  /** A stream to this peer needs no dial now. */
  isConnected(peerId: string): boolean
  /** Whether the peer that this address names, at its end, has answered there when it was dialled; the last ones are remembered. */
  hasAnswered(address: string): boolean
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
