import { AndthenError, type ErrorOptions } from '../../base/index.ts'
import type { ErrorMessage, Receipt, Terminated } from '../../wire/index.ts'

/** A server refused or failed; the code is the server's own (`BUSY`, `MODEL_MISMATCH`, `GONE`, ...). */
export class RemoteError extends AndthenError {
  override readonly name = 'RemoteError'
  /** Of two servers of a delegated route that disagree. */
  readonly receipts: readonly Receipt[]
  constructor(peer: string, error: ErrorMessage) {
    const { retryAfterMs, lengths, peerId } = error
    super(error.code === '' ? 'REMOTE' : error.code, `peer ${peer}: ${error.message}`, {
      retryable: error.retryable,
      details: {
        peer: peerId === '' ? peer : peerId,
        ...(retryAfterMs > 0 && { retryAfterMs }),
        ...(lengths !== null && { lengths })
      }
    })
    this.receipts = error.receipts
  }
}

/** The server ended the session; `reason` is one of the protocol's (`IDLE`, `PRESSURE`, `DRAIN`, ...). */
export class SessionTerminatedError extends AndthenError {
  override readonly name = 'SessionTerminatedError'
  readonly reason: string
  constructor(peer: string, { reason, resumable }: Pick<Terminated, 'reason' | 'resumable'>) {
    super('SESSION_TERMINATED', `peer ${peer} ended the session: ${reason}`, {
      retryable: true,
      details: { peer, reason, resumable }
    })
    this.reason = reason
  }
}

/** A server broke the protocol, or contradicts itself: what it says next is worth nothing. */
export class ServerFaultError extends AndthenError {
  override readonly name = 'ServerFaultError'
  constructor(peer: string, what: string, options: ErrorOptions = {}) {
    super('SERVER_FAULT', `peer ${peer} ${what}`, { ...options, details: { peer, ...options.details } })
  }
}
