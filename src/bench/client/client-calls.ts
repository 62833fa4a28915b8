import type { RouteName } from '../../client/index.ts'
import type { VerifyPolicyName } from '../../wire/index.ts'

/** What the client's process can be asked. `chain` is the number that `connect` returned. */
export interface ClientCalls {
  connect(request: ConnectRequest): ConnectedChain
  generate(request: TrialRequest): TrialOutcome
  timeSpans(request: SpanTimesRequest): SpanTimes
  load(request: LoadRequest): LoadOutcome
  /** Returns the number of these decoders. */
  openDecoders(request: DecodersRequest): number
  /** Returns what it took, ms. */
  decode(request: DecodeRequest): number
  delays(request: DelayRequest): DelayTimes
  closeDecoders(decoders: number): void
  /** Opens sessions on the chain's first server and leaves each without a word. */
  abandon(request: { readonly chain: number; readonly sessions: number }): void
}

export interface DecodersRequest {
  readonly chain: number
  /** On the chain's first server. */
  readonly sessions: number
  readonly past: number
  readonly maxLength: number
}

export interface DecodeRequest {
  readonly decoders: number
  /** At a time. */
  readonly sessions: number
  /** Of each. */
  readonly steps: number
}

export interface DelayRequest {
  readonly decoders: number
  /** Of the long prompt. */
  readonly tokens: number
  /** What the server computes of a prompt at a time. */
  readonly chunkTokens: number
}

/** By the server's clock, ms. */
export interface DelayTimes {
  /** The prompt's pieces, one after the other and alone. */
  readonly chunkMs: readonly number[]
  /** How long each step of another session waited while the prompt was computed as a whole. */
  readonly waitMs: readonly number[]
  /** Of these steps, those that were computed in the middle of the prompt. */
  readonly between: number
}

export interface ConnectRequest {
  /** The model's folder. */
  readonly model: string
  readonly peers: readonly string[]
  /** That compute embedding and head. */
  readonly threads?: number
}

export interface ConnectedChain {
  readonly chain: number
  /** In order of their blocks. */
  readonly servers: readonly { readonly peerId: string; readonly pingMs: number }[]
}

/** How a generation goes through a chain. */
export interface Variant {
  readonly chain: number
  readonly servers: number
  readonly route: RouteName
  readonly verify: VerifyPolicyName
}

export interface TrialRequest extends Variant {
  readonly promptIds: readonly number[]
  /** To generate. */
  readonly tokens: number
}

/** One generation over fresh sessions. Times in ms. */
export interface Trial {
  readonly failed: null
  /** From a token to be embedded to the next one sampled, each decode step. */
  readonly stepMs: readonly number[]
  /** Between tokens, from the second one on. */
  readonly gapMs: readonly number[]
  /** Of each step, embedding, head and sampling. */
  readonly clientMs: readonly number[]
  /** Of each step, what all servers computed, by their own clocks. */
  readonly computeMs: readonly number[]
  readonly timeToFirstTokenMs: number | null
  /** Server-steps after the first pass that had an upstream to push to them, and those that used what came. */
  readonly pushes: { readonly possible: number; readonly used: number }
  /** Bytes on the client's streams, opening and closing sessions included. */
  readonly bytesUp: number
  readonly bytesDown: number
}

export interface FailedTrial {
  /** Code of the error that ended it. */
  readonly failed: string
  readonly message: string
}

export type TrialOutcome = Trial | FailedTrial

export interface SpanTimesRequest {
  readonly chain: number
  /** Tokens in the cache at the middle of what is timed. */
  readonly past: number
  readonly steps: number
}

export interface SpanTimes {
  /** Decode steps of each server by itself while nothing else runs, ms. `[servers][steps]` */
  readonly computeMs: readonly (readonly number[])[]
}

/** Closed: so many clients, each sending its next request when the last is answered. Open: requests that come at random. */
export type Arrivals =
  | { readonly kind: 'closed'; readonly concurrency: number }
  | { readonly kind: 'open'; readonly requestRate: number }

export interface LoadRequest extends TrialRequest {
  readonly arrivals: Arrivals
  readonly requests: number
  readonly seed: number
}

/** One request of a load, in ms. */
export interface LoadSample {
  /** From its intended arrival to its last token. */
  readonly latencyMs: number
  /** From its intended arrival to its first token. */
  readonly firstTokenMs: number | null
  readonly outcome: TrialOutcome
}

export interface LoadOutcome {
  readonly samples: readonly LoadSample[]
  /** From the first intended arrival to the last answer. */
  readonly elapsedMs: number
  readonly bytesUp: number
  readonly bytesDown: number
}
