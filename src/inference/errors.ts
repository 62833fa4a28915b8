import { AndthenError, type ErrorOptions } from '../base/index.ts'

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
  | 'NOT_AVAILABLE'
  | 'REFUSED'
  | 'ROUTE'
  | 'ROUTE_FAILED'
  | 'QUOTA'
  | 'MISMATCH'

/** A request that this server does not serve; the client is told, the session may go on. */
export class RequestError extends AndthenError {
  override readonly name = 'RequestError'
  constructor(code: RequestErrorCode, message: string, options: ErrorOptions = {}) {
    super(code, message, options)
  }
}
