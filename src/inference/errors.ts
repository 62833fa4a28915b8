import { AndthenError, type ErrorOptions } from '../base/index.ts'
import type { Receipt } from '../wire/index.ts'

/** Codes of `Error` on the wire; docs/PROTOCOL.md says when each is sent. */
export type RequestErrorCode =
  | 'VERSION'
  | 'MODEL_MISMATCH'
  | 'BLOCKS_NOT_SERVED'
  | 'LENGTH_EXCEEDED'
  | 'CODEC'
  | 'BAD_REQUEST'
  | 'BAD_STEP'
  | 'EPOCH'
  | 'GAP'
  | 'BEHIND'
  | 'GONE'
  | 'FLOW'
  | 'SLOW_READER'
  | 'RUN_FAILED'
  | 'REFUSED'
  | 'ROUTE'
  | 'ROUTE_FAILED'
  | 'QUOTA'
  | 'RATE_LIMITED'

/** A request that this server does not serve; the client is told, the session may go on. */
export class RequestError extends AndthenError {
  override readonly name = 'RequestError'
  constructor(code: RequestErrorCode, message: string, options: ErrorOptions = {}) {
    super(code, message, options)
  }
}

/** Two servers of a delegated route disagree about what the first pushed to the second; `details.peer` names the first. */
export class RouteMismatchError extends AndthenError {
  override readonly name = 'RouteMismatchError'
  /** The first server's two for one step, as told to its client and as pushed; empty where one is missing. */
  readonly receipts: readonly Receipt[]
  constructor(peer: string, receipts: readonly Receipt[]) {
    super(
      'ROUTE_MISMATCH',
      `server ${peer} of the route pushed something else than it answered, or the next one says so`,
      {
        retryable: true,
        details: { peer }
      }
    )
    this.receipts = receipts
  }
}
