import type { Receipt } from '../../wire/index.ts'

/** What the owner says of a step, before any bytes. */
export interface StepHeader {
  readonly epoch: number
  /** Number within the epoch; of no meaning where `replay`. */
  readonly step: number
  /** Position of the first token. */
  readonly position: number
  /** Tokens. */
  readonly n: number
  /** `Want` of the wire. */
  readonly want: number
  readonly replay: boolean
}

/** Hidden states that arrived whole. `I` is the shell's handle on the bytes; the race never looks inside. */
export interface Arrival<I> {
  readonly digest: Uint8Array
  readonly input: I
  readonly bytes: number
}

/** A push that came from the session's upstream and whose receipt names these bytes. */
export interface PushArrival<I> extends Arrival<I> {
  readonly epoch: number
  readonly step: number
  readonly position: number
  readonly n: number
  readonly receipt: Receipt
}

/**
 * waiting: no input yet. ready: an input, and an earlier step to wait for. running: in the runner. done: computed, in the
 * KV cache.
 */
export type Phase = 'waiting' | 'ready' | 'running' | 'done'

/** One step of the session, from the owner's request on. */
export interface StepRecord<I> extends StepHeader {
  phase: Phase
  /** Which copy is used; null while waiting. */
  source: 'push' | 'copy' | null
  /** Digest of the input that is used. */
  digest: Uint8Array | null
  /** The input, until the run has ended. */
  input: I | null
  /** The owner's word on what the input must be: the digest in `Verify`, or of its copy. */
  proof: Uint8Array | null
  /** The upstream's receipt, where a push arrived. */
  receipt: Receipt | null
  committed: boolean
  /** A push came that was equal to the owner's bytes, after them. */
  late: boolean
  /** When the owner asked, ms. */
  readonly requestedAt: number
  /** When the push and the owner's bytes were there, ms; 0 where they were not. */
  pushArrivedAt: number
  copyArrivedAt: number
  /** When the owner's `Verify` came before any input, ms. */
  verifiedAt: number | null
  /** When `NeedCopy` falls due, ms; null when it does not, or was sent. */
  needCopyAt: number | null
}

/** Why a push changed nothing. */
export type IgnoredReason =
  | 'stale-epoch'
  | 'stale-step'
  | 'ended-epoch'
  | 'position'
  | 'duplicate'
  | 'hold-full'
  | 'hold-expired'
  | 'former-upstream'
  | 'receipt'

/** What the shell must do, in this order. */
export type Effect<I> =
  /** Start the run of this step; `onRunEnded` follows. */
  | { readonly kind: 'run'; readonly record: StepRecord<I> }
  /** Stop the run in flight; `onRunEnded` follows all the same. */
  | { readonly kind: 'terminate' }
  /** Cut the KV cache; no run is in flight. */
  | { readonly kind: 'truncate'; readonly length: number }
  /** The step is computed: push it on and answer the owner. */
  | { readonly kind: 'answer'; readonly record: StepRecord<I> }
  /** The owner asks for an answer that it was sent before. */
  | { readonly kind: 'repeat'; readonly record: StepRecord<I> }
  | { readonly kind: 'need-copy'; readonly epoch: number; readonly step: number }
  | {
      readonly kind: 'mismatch'
      readonly epoch: number
      readonly step: number
      readonly pushed: Uint8Array
      readonly owner: Uint8Array
      readonly receipt: Receipt | null
    }
  /** A request of the owner's that cannot be served. */
  | { readonly kind: 'refuse'; readonly code: RefusalCode; readonly message: string; readonly header: StepHeader }
  /** These bytes are of no further use. */
  | { readonly kind: 'drop'; readonly input: I }

export type RefusalCode = 'EPOCH' | 'GAP' | 'BEHIND' | 'GONE' | 'LENGTH_EXCEEDED' | 'FLOW' | 'BAD_STEP'

export interface RaceInit {
  /** Tokens that the session may hold. */
  maxLength: number
  /** Steps that may be computed and not committed. @default 8 */
  maxTentative?: number
  /** Steps of the owner's that may be unanswered. @default 16 */
  maxOutstanding?: number
  /** Bytes of pushes that are held for a step that the owner has not named yet. @default 16 MiB */
  maxHeldBytes?: number
  /** How long an early push is held, ms. @default 2000 */
  holdMs?: number
  /** A push is proven when it is used (`verify: none`, for measuring). @default false */
  trustPushes?: boolean
}
