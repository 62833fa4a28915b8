import type { Clock } from '../../base/index.ts'

/** Clients give a server up that says nothing for 10 s. */
const EVERY_MS = 3_000

/** Tells those who wait for a row, every few seconds, where they stand. */
export class BacklogNotices {
  readonly #clock: Clock
  readonly #tellAll: () => boolean
  #cancel: (() => void) | null = null

  /** @param tellAll tells everyone who waits, and returns whether anyone does */
  constructor(clock: Clock, tellAll: () => boolean) {
    this.#clock = clock
    this.#tellAll = tellAll
  }

  /** Somebody waits. */
  begin(): void {
    this.#cancel ??= this.#clock.after(EVERY_MS, () => {
      this.#cancel = null
      if (this.#tellAll()) this.begin()
    })
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = null
  }
}
