import { SessionEndedError, UnknownSessionError } from './errors.ts'
import type { EndReason } from './session.ts'

/** Bounds what clients that never come back can make a server remember. */
const most = 1024

/** Why the sessions that ended last did, so that a client that comes back late learns more than "unknown". */
export class Epitaphs {
  readonly #reasons = new Map<string, EndReason>()

  add(key: string, reason: EndReason): void {
    this.#reasons.delete(key)
    this.#reasons.set(key, reason)
    const [oldest] = this.#reasons.size > most ? this.#reasons.keys() : []
    if (oldest !== undefined) this.#reasons.delete(oldest)
  }

  forget(key: string): void {
    this.#reasons.delete(key)
  }

  /** For one who asks for a session that is not there. */
  error(key: string, id: string): SessionEndedError | UnknownSessionError {
    const reason = this.#reasons.get(key)
    return reason === undefined ? new UnknownSessionError(id) : new SessionEndedError(id, reason)
  }
}
