import { AndthenError } from '../base/index.ts'
import { SessionTerminatedError } from '../inference/index.ts'

/** A server that had no room for so long as a backlog lasts, or says nothing of when: tried again after this, ms. */
const UNKNOWN_MS = 1_000

/** What is asked for has to wait longer than what is held elsewhere should lie idle. */
export class NoRoomError extends AndthenError {
  override readonly name = 'NoRoomError'
  constructor(peerId: string, waitedMs: number) {
    super('BUSY', `peer ${peerId} had no room within ${waitedMs} ms: try again, or another server`, {
      retryable: true,
      details: { peer: peerId, waitedMs }
    })
  }
}

/** When a server that has no room is worth asking again, ms from now; null where the error says something else. */
export function busyFor(error: AndthenError): number | null {
  const { retryAfterMs } = error.details
  const ms = typeof retryAfterMs === 'number' ? retryAfterMs : null
  if (error.code === 'BUSY' || error.code === 'RATE_LIMITED') return ms ?? UNKNOWN_MS
  // A server has no memory for another route now.
  if (error.code === 'QUOTA') return ms
  // A server of a route had no room for it; what else makes a route fail says nothing of another time.
  if (error.code === 'ROUTE_FAILED') return ms
  return error instanceof SessionTerminatedError && error.reason === 'DEADLINE' ? UNKNOWN_MS : null
}
