import type { Clock, Logger } from '../base/index.ts'
import type { SessionHooks } from './hooks.ts'
import type { ParkingLot, Rows } from './rows.ts'
import type { EndReason, Session } from './session.ts'

const second = 1000
const minute = 60 * second

/** Called synchronously; what they throw is logged. */
export interface SessionEvents {
  /** A queued session has its row, with a full lease, and `onStart` is done: answer `Opened`. */
  onPromoted?(session: Session): void
  /** The session starts to terminate: tell its client (its state is lost, so never resumable) and the next server. */
  onTerminated?(session: Session, reason: EndReason): void
}

export interface SessionTableComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly rows: Rows
  /** Cryptographically random bytes. */
  readonly random: (bytes: number) => Uint8Array
  /** @default none */
  readonly hooks?: SessionHooks | undefined
  /** @default none */
  readonly events?: SessionEvents
  /** Without it pressure can only evict. @default none */
  readonly parking?: ParkingLot | undefined
}

export interface SessionTableInit {
  /** Rows of the KV slab. */
  readonly slots: number
  /** Sessions that hold a row or are parked. @default slots */
  readonly maxSessions?: number
  /** KV cache that sessions with a row may take together. @default no limit */
  readonly memoryBytes?: number
  /** Without activity for so long a session ends (IDLE); 0: never. @default 10 minutes */
  readonly idleLimitMs?: number
  /** From the loss of the connection to DISCONNECT. @default 10 seconds */
  readonly graceMs?: number
  /** Sessions that may wait for a row, and for how long (DEADLINE). @default 32 sessions, 30 seconds */
  readonly backlog?: { readonly limit: number; readonly deadlineMs: number }
  /** How long one hook may take. @default 5 seconds */
  readonly hookDeadlineMs?: number
  /** How long a turn is at most, where moving rows is not very slow (turns.ts). @default 1 second */
  readonly residenceMs?: number
  /** Another server comes before this one in every chain, and says whose turn it is. @default false */
  readonly follows?: boolean
}

export function withDefaults(init: SessionTableInit): Required<SessionTableInit> {
  return {
    maxSessions: init.slots,
    memoryBytes: Number.POSITIVE_INFINITY,
    idleLimitMs: 10 * minute,
    graceMs: 10 * second,
    backlog: { limit: 32, deadlineMs: 30 * second },
    hookDeadlineMs: 5 * second,
    residenceMs: second,
    follows: false,
    ...init
  }
}
