import type { Clock, Logger } from '../../base/index.ts'
import type { SpanRunner } from '../../runtime/index.ts'
import type { ComputeLane } from '../../session/index.ts'
import type { Digester, Sign, VerifySignature } from '../../wire/index.ts'
import type { SpanWork } from './span-compute.ts'

/** What a node serves, fixed while it runs. */
export interface SpanFacts {
  readonly peerId: string
  /** 32 bytes. */
  readonly modelDigest: Uint8Array
  /** First block, and one past the last. */
  readonly from: number
  readonly to: number
  readonly hiddenSize: number
  /** Tokens that a session can hold. */
  readonly maxLength: number
}

/** Limits that a session may lean on. */
export interface SessionLimits {
  /** Steps computed and not committed at most. @default 8 */
  readonly maxTentative: number
  /** Steps of an owner's unanswered at once at most. @default 16 */
  readonly creditSteps: number
  /** Bytes of an owner's tensors at once at most, and of one tensor. */
  readonly creditBytes: number
}

/** What the server end of the protocol works with; shared by all its sessions. */
export interface ServerComponents {
  readonly facts: SpanFacts
  readonly limits: SessionLimits
  readonly runner: SpanRunner
  readonly lane: ComputeLane<SpanWork>
  readonly digest: Digester
  readonly sign: Sign
  readonly verify: VerifySignature
  readonly clock: Clock
  readonly logger: Logger
  readonly ledger: Ledger
}

/** What this node did, for its owner to see. */
export interface Ledger {
  /** Tokens computed. */
  tokens: number
  /** Sessions granted. */
  sessions: number
  /** Sessions refused because their client has as many as one may. */
  sessionsOverLimit: number
  /** Different clients, by peer id; with more than are remembered, at least so many. */
  readonly clients: Set<string>
  /** Bytes of hidden states sent, to clients and pushed on. */
  bytesOut: number
  mismatches: number
  /** Pushes of all sessions, and why those that were ignored were. */
  readonly pushes: { used: number; late: number; ignored: number; mismatched: number; sent: number; dropped: number }
  readonly ignored: Map<string, number>
  /** Push streams ended because their peer sent too much that came to nothing. */
  pushStreamsEnded: number
}

export function createLedger(): Ledger {
  return {
    tokens: 0,
    sessions: 0,
    sessionsOverLimit: 0,
    clients: new Set(),
    bytesOut: 0,
    mismatches: 0,
    pushes: { used: 0, late: 0, ignored: 0, mismatched: 0, sent: 0, dropped: 0 },
    ignored: new Map(),
    pushStreamsEnded: 0
  }
}

/** Pushes that changed nothing, by why. */
export function countIgnored({ ignored }: Ledger, reason: string, count = 1): void {
  ignored.set(reason, (ignored.get(reason) ?? 0) + count)
}
