import type { Clock } from '../../base/index.ts'
import { PROOF_WAIT_MS } from './constants.ts'
import type { OwnerValue } from './sent-log.ts'

/** Proofs that wait for the next thing that is sent, or a moment: no token waits for them. */
export class WaitingProofs {
  readonly #clock: Clock
  readonly #say: (verify: OwnerValue<'verify'>) => void
  readonly #waiting: OwnerValue<'verify'>[] = []
  #cancel: (() => void) | null = null

  constructor(components: { clock: Clock }, say: (verify: OwnerValue<'verify'>) => void) {
    this.#clock = components.clock
    this.#say = say
  }

  add(verify: OwnerValue<'verify'>): void {
    this.#waiting.push(verify)
    this.#cancel ??= this.#clock.after(PROOF_WAIT_MS, () => this.send())
  }

  /** Now, ahead of what is sent next. */
  send(): void {
    for (const verify of this.#take()) this.#say(verify)
  }

  /** They are said otherwise, or not at all. */
  drop(): void {
    this.#take()
  }

  #take(): OwnerValue<'verify'>[] {
    this.#cancel?.()
    this.#cancel = null
    return this.#waiting.splice(0)
  }
}
