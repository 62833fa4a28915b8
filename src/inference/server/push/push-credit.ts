/** Steps that may be under way to one session at once. */
const WINDOW_STEPS = 32

interface Totals {
  steps: number
  bytes: number
}

/**
 * Totals since a session was attached of what was begun, what is over (whole, or refused by its header) and what may be
 * begun. What is under way stays within one window.
 */
export class PushCredit {
  readonly #windowBytes: number
  readonly #begun: Totals = { steps: 0, bytes: 0 }
  readonly #over: Totals = { steps: 0, bytes: 0 }
  readonly #limit: Totals = { steps: 0, bytes: 0 }

  constructor(init: { windowBytes: number }) {
    this.#windowBytes = init.windowBytes
  }

  /** A push begins; false where it has no credit, and was not counted. */
  begin(bytes: number): boolean {
    if (this.#begun.steps >= this.#limit.steps || this.#begun.bytes + bytes > this.#limit.bytes) return false
    this.#begun.steps++
    this.#begun.bytes += bytes
    return true
  }

  /** A push is over; true when half of the window is used up, so that more should be granted. */
  finish(bytes: number): boolean {
    this.#over.steps++
    this.#over.bytes += bytes
    const { steps, bytes: left } = this.#limit
    return steps - this.#over.steps <= WINDOW_STEPS / 2 || left - this.#over.bytes <= this.#windowBytes / 2
  }

  /** Raises the limit to a full window beyond what is over; returns it. */
  grant(): Readonly<Totals> {
    this.#limit.steps = this.#over.steps + WINDOW_STEPS
    this.#limit.bytes = this.#over.bytes + this.#windowBytes
    return this.#limit
  }
}
