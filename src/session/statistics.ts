import { type EndReason, endReasons, type Session, type SessionState } from './session.ts'

/** How often something took time, and how much. */
export interface Durations {
  count: number
  totalMs: number
  longestMs: number
}

/** Sums since the table was made. */
export class Counters {
  readonly ended = Object.fromEntries(endReasons.map(reason => [reason, 0])) as Record<EndReason, number>
  /** From `open` to the row, of sessions that were queued and promoted. */
  readonly backlogWait: Durations = { count: 0, totalMs: 0, longestMs: 0 }
  /** From the row to the end, of sessions that are gone. */
  readonly lease: Durations = { count: 0, totalMs: 0, longestMs: 0 }
  refused = 0
  /** Times that an owner came back to its session on another stream. */
  resumed = 0
  parkings = 0
  unparkings = 0
  /** Rows never lent again because they could not be emptied. */
  lostRows = 0
}

/** Sums and, as gauges, the sessions that are not gone. */
export interface SessionStatistics extends Readonly<Counters> {
  readonly sessions: Readonly<Record<Exclude<SessionState, 'gone'>, number>>
  readonly freeSlots: number
  /** KV cache promised to sessions that hold a row. */
  readonly reservedBytes: number
  /** KV cache in use, in rows and in the parking lot. */
  readonly stateBytes: number
  /** Age of the oldest lease that is alive. */
  readonly oldestLeaseMs: number
  readonly hookFailures: number
}

export function addDuration(durations: Durations, ms: number): void {
  durations.count++
  durations.totalMs += ms
  durations.longestMs = Math.max(durations.longestMs, ms)
}

/** Counts sessions by state, and finds the age of the oldest lease. */
export function countSessions(
  sessions: Iterable<Session>,
  now: number
): Pick<SessionStatistics, 'sessions' | 'oldestLeaseMs'> {
  const counts = { queued: 0, active: 0, parked: 0, terminating: 0, gone: 0 }
  let oldest = now
  for (const session of sessions) {
    counts[session.state]++
    oldest = Math.min(oldest, session.grantedAt ?? now)
  }
  const { gone: _, ...alive } = counts
  return { sessions: alive, oldestLeaseMs: now - oldest }
}
