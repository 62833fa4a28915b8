import { toAndthenError } from '../base/index.ts'

/** What was taken and is to be given back, the last first. */
export class Taken {
  readonly #giveBack: (() => Promise<void>)[] = []
  #given: Promise<void> | null = null

  push(giveBack: () => Promise<void>): void {
    this.#giveBack.push(giveBack)
  }

  /** Gives back everything once, whatever fails on the way. @throws the first failure */
  giveBack(): Promise<void> {
    this.#given ??= this.#giveAllBack()
    return this.#given
  }

  async #giveAllBack(): Promise<void> {
    const failures: unknown[] = []
    for (const giveBack of this.#giveBack.reverse())
      await giveBack().catch((failure: unknown) => failures.push(failure))
    if (failures.length > 0) throw toAndthenError(failures[0])
  }
}
