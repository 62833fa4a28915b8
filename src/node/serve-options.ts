import type { Logger } from '../base/index.ts'

export interface ServeOptions {
  /** The model's folder. */
  readonly model: string
  /** Half open: `{ from: 0, to: 4 }` is blocks 0 to 3. @default 'all' */
  readonly blocks?: 'all' | { readonly from: number; readonly to: number }
  /** TCP multiaddrs; a taken port is replaced by the next free one. @default port 31226 on all IPv4 and IPv6 addresses */
  readonly listen?: readonly string[]
  /** Addresses that others are told instead of those listened on. @default [] */
  readonly announce?: readonly string[]
  /** Where identities are kept. @default ~/.andthen */
  readonly dataDir?: string
  /** File of the node's private key. @default `<dataDir>/identity-PORT.key`; with port 0 a fresh key in memory */
  readonly identity?: string
  /** @default 'auto' */
  readonly device?: 'auto' | 'cpu'
  /** @default 'auto' */
  readonly weights?: 'auto' | 'f32'
  /** Threads that compute. @default one a core */
  readonly threads?: number
  /** Tokens of one session at most. @default the model's, at most 4096 */
  readonly maxLength?: number
  /** Sessions at a time. @default 8 */
  readonly maxSessions?: number
  /** Bytes of memory to use at most. @default what is free */
  readonly memory?: number
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
  readonly onProgress?: (progress: { readonly loadedBytes: number; readonly totalBytes: number }) => void
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
  readonly memoryBytes: { readonly weights: number; readonly kv: number }
  readonly reachable: 'unknown'
  readonly admin: string | null
  readonly pid: number
  readonly version: string
  readonly protocol: string
}
