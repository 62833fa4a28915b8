import type { Clock } from '../base/index.ts'
import type { Entry } from './entry.ts'
import type { SessionTableInit } from './init.ts'
import type { EndReason } from './session.ts'

export interface AlarmsComponents {
  readonly clock: Clock
  readonly end: (entry: Entry, reason: EndReason) => void
}

/** What ends a session by itself: too long in the backlog, too long idle, its owner gone for too long. */
export class Alarms {
  readonly #clock: Clock
  readonly #end: (entry: Entry, reason: EndReason) => void
  readonly #init: Required<SessionTableInit>

  constructor(components: AlarmsComponents, init: Required<SessionTableInit>) {
    this.#clock = components.clock
    this.#end = components.end
    this.#init = init
  }

  /** It waits for a row. */
  watchBacklog(entry: Entry): void {
    entry.arm(
      'backlog',
      this.#clock.after(this.#init.backlog.deadlineMs, () => this.#end(entry, 'DEADLINE'))
    )
  }

  /** One alarm a session, set anew only when it rings: a token costs no timer. */
  watchIdle(entry: Entry): void {
    const { idleLimitMs } = this.#init
    if (idleLimitMs === 0 || entry.armed('idle')) return
    const ring = (): void => {
      entry.disarm('idle')
      // With a run in flight `runEnded` sets the next one.
      if (entry.runs > 0) return
      if (this.#clock.now() - entry.lastActivity >= idleLimitMs) this.#end(entry, 'IDLE')
      else this.watchIdle(entry)
    }
    entry.arm('idle', this.#clock.after(entry.lastActivity + idleLimitMs - this.#clock.now(), ring))
  }

  /** The grace in which the owner of a granted session may resume. */
  watchAbsence(entry: Entry): void {
    entry.arm(
      'grace',
      this.#clock.after(this.#init.graceMs, () => this.#end(entry, 'DISCONNECT'))
    )
  }
}
