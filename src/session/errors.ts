import { AndthenError, type ErrorOptions } from '../base/index.ts'
import type { EndReason } from './session.ts'

/** An `Open` with the id of a session that is alive, without `replace`. */
export class SessionExistsError extends AndthenError {
  override readonly name = 'SessionExistsError'
  constructor(id: string) {
    super('SESSION_EXISTS', `session ${id} is already open: resume it, or open it with replace`, { details: { id } })
  }
}

/** Rows, memory and backlog are all taken; `details.retryAfterMs` is a guess from how long leases have lasted. */
export class BusyError extends AndthenError {
  override readonly name = 'BusyError'
  constructor(what: string, retryAfterMs: number) {
    super('BUSY', `${what}: try again in ${retryAfterMs} ms, or another server`, {
      retryable: true,
      details: { retryAfterMs }
    })
  }
}

/** The server is about to stop and takes no new session; another server may. */
export class DrainingError extends AndthenError {
  override readonly name = 'DrainingError'
  constructor() {
    super('DRAINING', 'the server is draining and takes no new sessions: open this one on another server', {
      retryable: true
    })
  }
}

/** A session that could never be granted here, however idle the server is. */
export class SessionTooLargeError extends AndthenError {
  override readonly name = 'SessionTooLargeError'
  constructor(bytes: number, limit: number) {
    super('SESSION_TOO_LARGE', `the session wants ${bytes} bytes of KV cache, the limit is ${limit}: ask for less`, {
      details: { bytes, limit }
    })
  }
}

/** No such session of this owner, or another incarnation of it. */
export class UnknownSessionError extends AndthenError {
  override readonly name = 'UnknownSessionError'
  constructor(id: string) {
    super('UNKNOWN_SESSION', `session ${id} is not open here: open it and replay what it had seen`, { details: { id } })
  }
}

/** The session was evicted, or closed; its KV cache is gone. */
export class SessionEndedError extends AndthenError {
  override readonly name = 'SessionEndedError'
  constructor(id: string, reason: EndReason) {
    super('SESSION_ENDED', `session ${id} has ended (${reason}): open it again and replay what it had seen`, {
      details: { id, reason }
    })
  }
}

/** What was parked did not come back as it was given. */
export class ParkedStateError extends AndthenError {
  override readonly name = 'ParkedStateError'
  constructor(key: string, what: string, options: ErrorOptions = {}) {
    super('PARKED_STATE', `parked state ${key} ${what}: the session has to be opened again and replayed`, {
      details: { key },
      ...options
    })
  }
}

/** Neither host memory nor the disk has room for another parked session. */
export class ParkingFullError extends AndthenError {
  override readonly name = 'ParkingFullError'
  constructor(bytes: number) {
    super('PARKING_FULL', `no room to park ${bytes} bytes: raise the limits of memory or disk`, { details: { bytes } })
  }
}
