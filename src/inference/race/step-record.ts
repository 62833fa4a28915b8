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

/** A step that the owner has just asked for. */
export function newStep<I>(header: StepHeader, requestedAt: number): StepRecord<I> {
  return {
    ...header,
    phase: 'waiting',
    source: null,
    digest: null,
    input: null,
    proof: null,
    receipt: null,
    committed: false,
    late: false,
    requestedAt,
    pushArrivedAt: 0,
    copyArrivedAt: 0,
    verifiedAt: null,
    needCopyAt: null
  }
}
