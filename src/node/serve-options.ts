import type { Logger } from '../base/index.ts'
import type { Reachability, RelayingInit } from '../network/index.ts'
import type { CudaOptions, DeviceWish } from '../runtime/index.ts'
import type { SessionHooks } from './hooks.ts'

export interface ServeOptions extends ServeLimits, ServeNetworkOptions, ServeSessionOptions {
  /** The model's folder. */
  readonly model: string
  /** Half open: `{ from: 0, to: 4 }` is blocks 0 to 3. @default 'all' */
  readonly blocks?: 'all' | { readonly from: number; readonly to: number }
  /** Where identities are kept. @default ~/.andthen */
  readonly dataDir?: string
  /** `auto`: the first GPU that CUDA can use, else the processor. @default 'auto' */
  readonly device?: DeviceWish
  /** What is computed in: f32 on the processor; on a GPU bf16 or f16, `auto` as the files have it. @default 'auto' */
  readonly weights?: 'auto' | 'f32' | 'bf16' | 'f16'
  /** Folder with ONNX Runtime's shared library and its providers. @default what onnxruntime-node ships */
  readonly onnxruntime?: string
  /** How a GPU is used. */
  readonly cuda?: CudaOptions
  /** Where metrics, health and sessions are shown. @default 127.0.0.1 on a free port */
  readonly admin?: { readonly host: string; readonly port: number } | 'off'
  /** Its content is wanted from those who ask there. */
  readonly adminTokenFile?: string
  /** How long sessions may go on after `drain`, ms. @default 30 s */
  readonly drainTimeoutMs?: number
  /** @default silent */
  readonly logger?: Logger
  /** Cancels loading. */
  readonly signal?: AbortSignal
}

/** What a node may use. */
export interface ServeLimits {
  /** Threads that compute. @default one a core */
  readonly threads?: number
  /** Tokens of one session at most. @default the model's, at most 4096 */
  readonly maxLength?: number
  /** Sessions at a time, those that are parked included. @default 8 */
  readonly maxSessions?: number
  /** Sessions that have a row of the KV cache at a time; fewer than `maxSessions` needs parking. @default maxSessions */
  readonly slots?: number
  /** Bytes of memory to use at most. @default what is free */
  readonly memory?: number
  /** Bytes of memory for parked sessions' KV cache. @default 0 */
  readonly parkMemory?: number
  /** Bytes of memory for the hidden states of all routes that are left to this node; 0: it takes on none. @default 1 GiB */
  readonly delegateMemory?: number
}

/** Where a node is reached, and by whom. */
export interface ServeNetworkOptions extends SwarmOptions {
  /** TCP multiaddrs; a taken port is replaced by the next free one. @default port 31226 on all IPv4 and IPv6 addresses */
  readonly listen?: readonly string[]
  /** Addresses that others are told instead of those listened on. @default [] */
  readonly announce?: readonly string[]
  /** File of the node's private key. @default `<dataDir>/identity-PORT.key`; with port 0 a fresh key in memory */
  readonly identity?: string
  /** Connections at once, both ways. @default 512 */
  readonly maxConnections?: number
  /** Dials at once. @default 64 */
  readonly maxDials?: number
  /** What one client may ask of this node. */
  readonly peerLimits?: ServePeerLimits
  /**
   * IP addresses and ranges that stand for many, as a proxy's or a router's: each peer from there counts for itself, and no limit of
   * one host for all of them. @default []
   */
  readonly sharedHosts?: readonly string[]
  /** Relays to be reached through as well, where nobody can dial this node. @default [] */
  readonly relays?: readonly string[]
  /** Relay for other nodes, within these bounds. @default it does not */
  readonly relaying?: RelayingInit
  /** Ask the router to forward the port, by UPnP. @default false */
  readonly upnp?: boolean
  /** Peer ids and address ranges: only these may connect. Peers allowed by id may claim a priority. @default everybody */
  readonly allow?: readonly string[]
  /** Peer ids and address ranges that may not connect. @default nobody */
  readonly deny?: readonly string[]
}

/** Bounds for one peer, or one host, which has those of eight peers where nothing else is said; beyond them it is told so, where its protocol has words for that, and else hung up on. */
export interface ServePeerLimits {
  /**
   * Connections at once from one host. @default a quarter of `maxConnections`, 16 at the least; all of them from a private or
   * loopback address
   */
  readonly connections?: number
  /** Connections a second from one host. @default 20, and 512 at once */
  readonly dials?: number
  /** Requests a second: sessions opened or resumed, questions, pings. @default 100, and 1024 at once */
  readonly requests?: number
  /** Sessions at a time. @default as many as there may be */
  readonly sessions?: number
  /** Bytes a second. @default not limited */
  readonly bytes?: number
}

/** Which swarm a node or client belongs to, and how it keeps connections. */
export interface SwarmOptions {
  /** File with the key of a private swarm, in go-libp2p's format. @default a public swarm */
  readonly swarmKey?: string
  /** Start in no swarm but a private one. @default false */
  readonly forcePrivate?: boolean
  /** How long a connection that nothing uses stays open, ms; 0 is for ever. @default 30 s */
  readonly connectionIdleTimeoutMs?: number
  /** How often a connection is pinged, and ended where nothing answers, ms; 0 is never. @default 10 s */
  readonly keepAliveMs?: number
  /** After how long without a byte TCP probes the other end, ms; 0 is never. @default 1 min */
  readonly tcpKeepAliveMs?: number
  /** Turn connections through relays into direct ones where possible. @default false */
  readonly holePunching?: boolean
}

/** How sessions share a node. */
export interface ServeSessionOptions {
  /** Which sessions' tokens run together: `direct` in neighbouring rows, `oldest` those that wait longest. @default 'direct' */
  readonly batching?: 'direct' | 'oldest'
  /** How long a token may wait for those of other sessions, ms. @default half of what a run takes, from 1 to 20 ms */
  readonly queueDelayMs?: number
  /** Tokens wait while fewer of the sessions that are decoding have one ready: a share from 0 to 1. @default 1 */
  readonly minUtilisation?: number
  /**
   * Numbers of tokens that are worth a run at once. `oldest` runs the largest that it can fill, `direct` all that are ready
   * once they are as many as the least. @default `oldest`: as many as there are rows; `direct`: none
   */
  readonly preferredBatch?: readonly number[]
  /** Results are told in the order in which the tokens came, over all sessions. @default false */
  readonly preserveOrdering?: boolean
  /** Sessions without activity for so long end (IDLE), ms; 0 is never. @default 10 minutes */
  readonly idleTimeoutMs?: number
  /** How long after its connection is lost a client may resume, ms. @default 10 s */
  readonly graceMs?: number
  /** Sessions that may wait for a row. @default 32 */
  readonly backlog?: number
  /** How long they may wait, ms. @default 30 s */
  readonly backlogTimeoutMs?: number
  /** What to call when a session starts and ends, or the path of a module that exports `onStart` or `onEvict`. @default none */
  readonly hooks?: SessionHooks | string
  /** Folder for the KV cache of parked sessions that memory has no room for; each node uses a folder of its own in it. @default none */
  readonly parkDir?: string
  /** Bytes in `parkDir` at most. @default 4 GiB */
  readonly parkSize?: number
}

/** What a node tells when it serves, and at `/info`. */
export interface ReadyInfo {
  readonly event: 'ready'
  readonly peerId: string
  readonly addresses: readonly string[]
  /** The model folder's last part; local paths are never told. */
  readonly model: string
  /** Hex. */
  readonly modelDigest: string
  readonly modelBlocks: number
  readonly blocks: readonly [from: number, to: number]
  readonly device: string
  readonly deviceReason: string
  readonly weights: string
  readonly threads: number
  readonly maxLength: number
  readonly maxSessions: number
  /** Sessions that have a row of the KV cache at a time; the others are parked. */
  readonly slots: number
  readonly memoryBytes: { readonly weights: number; readonly kv: number }
  /** Whether others reach this node: `direct` where some did, `relay` where only through one, as far as seen. */
  readonly reachable: Reachability
  readonly admin: string | null
  readonly pid: number
  readonly version: string
  readonly protocol: string
}
