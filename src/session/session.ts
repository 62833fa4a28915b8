import type { Row } from './slots.ts'

/** `queued -> active -> parked -> terminating -> gone`; see `transitions` for the ways back and the short cuts. */
export type SessionState = 'queued' | 'active' | 'parked' | 'terminating' | 'gone'

/** Why a session ended; sent to its client in `Terminated`. */
export const endReasons = [
  'END',
  'IDLE',
  'DISCONNECT',
  'CANCEL',
  'SUPERSEDED',
  'PRESSURE',
  'DRAIN',
  'ERROR',
  'DEADLINE'
] as const
export type EndReason = (typeof endReasons)[number]

/** What a client asks for in `Open`. */
export interface OpenRequest {
  /** Authenticated peer id of the client: with `id` the session's key. */
  readonly owner: string
  /** 128 random bits, hex. */
  readonly id: string
  /** Most tokens that the session will hold. */
  readonly maxLength: number
  /** KV cache that `maxLength` tokens take while the session has a row. */
  readonly bytes: number
  /** Higher goes first in the backlog and last under pressure. @default 0 */
  readonly priority?: number
  /** Ends a live session of the same key (SUPERSEDED) instead of refusing. @default false */
  readonly replace?: boolean
}

/**
 * One client's sequence on this server, as everyone but the table sees it. The object stays the same for the session's
 * whole life, so it is a key to attach state to (a WeakMap).
 */
export interface Session {
  readonly owner: string
  readonly id: string
  readonly maxLength: number
  readonly bytes: number
  readonly priority: number
  readonly state: SessionState
  /** 16 random bytes, drawn when a row was first granted and kept through parking; undefined while queued. */
  readonly incarnation: Uint8Array | undefined
  /** The row of the KV slab; undefined while queued or parked, and after the row was given back. */
  readonly row: Row | undefined
  /** Number of the stream that speaks for the session, from 1; each resume adds one. */
  readonly connection: number
  /** Milliseconds of the table's clock. */
  readonly openedAt: number
  readonly grantedAt: number | undefined
  /** The owner's last frame, or the end of the last run that it asked for. */
  readonly lastActivity: number
  /** Runs between `runStarted` and `runEnded`. */
  readonly runs: number
  /** Settles, without error, when the session may run (`onStart` is done) or has ended before it could. */
  readonly started: Promise<void>
  /** Aborted with a SessionEndedError when the session starts to terminate: runs and waits hang off it. */
  readonly signal: AbortSignal
}
