import type { Receipt } from '../../wire/index.ts'
import type { StepHeader, StepRecord } from './step-record.ts'

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
