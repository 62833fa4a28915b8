import { type Logger, NotAvailableError } from '../base/index.ts'
import type { BlocksFlag } from './block-range.ts'
import type { Device, Route, Verify, Weights } from './choices.ts'

// The shapes of serve() and connect() that the commands are written against.

export interface ServeOptions {
  /** Absolute path of the model's folder. */
  readonly model: string
  readonly blocks: BlocksFlag
  readonly listen: readonly string[]
  readonly announce: readonly string[]
  readonly dataDir: string
  readonly identity?: string
  readonly device: Device
  readonly weights: Weights
  readonly threads?: number
  /** Tokens. */
  readonly maxLength?: number
  readonly maxSessions: number
  /** Bytes. */
  readonly memory?: number
  readonly admin: { readonly host: string; readonly port: number } | 'off'
  readonly adminTokenFile?: string
  readonly drainTimeoutMs: number
}

export interface RunningOptions {
  readonly logger: Logger
  readonly signal: AbortSignal
  readonly onProgress: (progress: { readonly loadedBytes: number; readonly totalBytes: number }) => void
}

export interface ReadyInfo {
  readonly event: 'ready'
  readonly peerId: string
  readonly addresses: readonly string[]
  readonly model: string
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
  readonly reachable: string
  readonly admin: string | null
  readonly pid: number
  readonly version: string
  readonly protocol: string
}

export interface ServerNode {
  readonly info: ReadyInfo
  drain(): Promise<void>
  close(): Promise<void>
}

export interface ServePlan {
  readonly modelBlocks: number
  readonly blocks: readonly [from: number, to: number]
  readonly [more: string]: unknown
}

export interface ConnectOptions {
  readonly model: string
  readonly peers: readonly string[]
  readonly route: Route
  readonly verify: Verify
  readonly timeouts: { readonly connectMs: number; readonly stepMs: number }
}

export interface GenerateOptions {
  readonly prompt?: string
  readonly promptIds?: readonly number[]
  readonly chat?: boolean
  readonly maxNewTokens: number
  readonly sampling: Sampling
  readonly stop: readonly string[]
}

/** What is absent is greedy's, or with `source: 'model'` that of the model's generation_config.json. */
export interface Sampling {
  readonly source: 'settings' | 'model'
  readonly temperature?: number
  readonly topP?: number
  readonly topK?: number
  readonly repetitionPenalty?: number
  readonly seed?: number
}

export interface Piece {
  readonly tokenId: number
  readonly text: string
}

export interface Generation extends AsyncIterable<Piece> {
  result(): Promise<GenerationResult>
}

interface Percentiles {
  readonly n: number
  readonly mean: number
}

export interface GenerationResult {
  readonly text: string | null
  readonly tokenIds: readonly number[]
  readonly finishReason: 'stop' | 'length' | 'cancelled' | 'error'
  readonly timeToFirstTokenMs: number
  readonly stepMs: Percentiles
  readonly tokensPerSecond: number
  readonly route: Route
  readonly pushes: { readonly used: number }
  readonly replays: number
  readonly clientMs: number
  readonly hops: readonly {
    readonly computeMs: number
    readonly queueMs: number
    readonly otherMs: number
    readonly networkMs: number
  }[]
  readonly unaccountedMs: number
  readonly floorMs: number
  readonly floorRatio: number
}

export interface Connection {
  generate(options: GenerateOptions & { readonly signal: AbortSignal }): Generation
  close(): Promise<void>
}

export interface Library {
  planServe(options: ServeOptions): Promise<ServePlan>
  serve(options: ServeOptions & RunningOptions): Promise<ServerNode>
  connect(options: ConnectOptions & { readonly logger: Logger; readonly signal: AbortSignal }): Promise<Connection>
}

/** Loaded when a command runs, not when it is parsed: libp2p and ONNX Runtime take most of a second. */
export async function loadLibrary(): Promise<Library> {
  throw new NotAvailableError('serving and generating')
}
