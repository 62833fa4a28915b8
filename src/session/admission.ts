import { BusyError, DrainingError, SessionTooLargeError } from './errors.ts'
import type { SessionTableInit } from './init.ts'
import type { Residency } from './residency.ts'
import type { OpenRequest } from './session.ts'
import type { Counters } from './statistics.ts'

/** Bounds of the guess of when to try again, ms. */
const retryAfter = { least: 100, most: 60_000, unknown: 1000 }

/** Which sessions are let in: those that have room at once, or a place in the backlog. */
export class Admission {
  /** No new session is let in. */
  draining = false
  readonly #components: { readonly residency: Residency; readonly counters: Counters }
  readonly #init: Required<SessionTableInit>

  constructor(components: { residency: Residency; counters: Counters }, init: Required<SessionTableInit>) {
    this.#components = components
    this.#init = init
  }

  /**
   * Counts what it refuses.
   *
   * @param inherits it takes the place of another, and is not refused for want of room
   * @throws DrainingError, SessionTooLargeError, BusyError
   */
  check(request: OpenRequest, inherits: boolean): void {
    const error = this.#refusal(request, inherits)
    if (error === null) return
    this.#components.counters.refused++
    throw error
  }

  #refusal({ bytes }: OpenRequest, inherits: boolean): DrainingError | SessionTooLargeError | BusyError | null {
    const { memoryBytes, backlog } = this.#init
    const { residency } = this.#components
    if (this.draining) return new DrainingError()
    if (bytes > memoryBytes) return new SessionTooLargeError(bytes, memoryBytes)
    if (inherits || residency.hasRoom(bytes)) return null
    const waiting = residency.waiting.backlog
    return waiting < backlog.limit ? null : new BusyError(`all rows are taken, ${waiting} wait`, this.#retryAfter())
  }

  /** From how long leases have lasted: when a row may be free for one more behind the backlog. */
  #retryAfter(): number {
    const { counters, residency } = this.#components
    const { count, totalMs } = counters.lease
    if (count === 0) return retryAfter.unknown
    const turns = (residency.waiting.length + 1) / this.#init.slots
    return Math.round(Math.min(retryAfter.most, Math.max(retryAfter.least, (totalMs / count) * turns)))
  }
}
