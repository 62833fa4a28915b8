import { type Logger, NotAvailableError } from '../base/index.ts'
import type { Route, Verify } from './choices.ts'

// The shapes of connect() that the commands are written against.

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

/** What the commands read of the result; `generate --json` prints all of it. Null is what was not measured. */
export interface GenerationResult {
  readonly tokenIds: readonly number[]
  readonly finishReason: 'stop' | 'length' | 'cancelled' | 'error'
  readonly timeToFirstTokenMs: number | null
  readonly stepMs: { readonly n: number; readonly mean: number | null }
  readonly tokensPerSecond: number | null
  readonly route: Route
  readonly pushes: { readonly used: number }
  readonly clientMs: number | null
  readonly hops: readonly {
    readonly computeMs: number
    readonly queueMs: number
    readonly otherMs: number
    readonly networkMs: number
  }[]
  readonly unaccountedMs: number | null
  readonly floorMs: number | null
  readonly floorRatio: number | null
}

export interface Connection {
  generate(options: GenerateOptions & { readonly signal: AbortSignal }): Generation
  close(): Promise<void>
}

export interface Library {
  connect(options: ConnectOptions & { readonly logger: Logger; readonly signal: AbortSignal }): Promise<Connection>
}

/** Loaded when a command runs, not when it is parsed: libp2p and ONNX Runtime take most of a second. */
export async function loadLibrary(): Promise<Library> {
  throw new NotAvailableError('generating')
}
