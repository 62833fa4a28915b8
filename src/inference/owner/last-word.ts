import type { Clock } from '../../base/index.ts'
import type { Terminated } from '../../wire/index.ts'

/** What a server says at the end of a session, and who waits for it. */
export class LastWord {
  readonly #clock: Clock
  #heard: (terminated: Terminated | null) => void = () => undefined

  constructor(components: { clock: Clock }) {
    this.#clock = components.clock
  }

  /** @param terminated null: there will be none */
  is(terminated: Terminated | null): void {
    this.#heard(terminated)
  }

  /** Resolves to null where it is not heard within `ms`. */
  within(ms: number): Promise<Terminated | null> {
    return new Promise(resolve => {
      const cancel = this.#clock.after(ms, () => resolve(null))
      this.#heard = terminated => {
        cancel()
        resolve(terminated)
      }
    })
  }
}
