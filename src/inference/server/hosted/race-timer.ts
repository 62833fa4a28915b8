import type { Clock } from '../../../base/index.ts'

/** One alarm for a deadline that moves with every step: set anew only when it must ring earlier. */
export class RaceTimer {
  readonly #clock: Clock
  readonly #onDue: () => void
  #at = Number.POSITIVE_INFINITY
  #cancel: () => void = () => undefined

  constructor(clock: Clock, onDue: () => void) {
    this.#clock = clock
    this.#onDue = onDue
  }

  /** @param deadline ms of the clock; null: nothing is waited for, a set alarm rings in vain */
  set(deadline: number | null): void {
    if (deadline === null || deadline >= this.#at) return
    this.#cancel()
    this.#at = deadline
    this.#cancel = this.#clock.after(deadline - this.#clock.now(), () => {
      this.#at = Number.POSITIVE_INFINITY
      this.#onDue()
    })
  }

  stop(): void {
    this.#cancel()
    this.#at = Number.NEGATIVE_INFINITY
  }
}
