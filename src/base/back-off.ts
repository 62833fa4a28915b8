export interface BackOffInit {
  /** The first wait, ms, give or take a half. */
  readonly first: number
  /** And the longest. */
  readonly most: number
}

/**
 * How long to wait before what failed is tried again: twice as long each time, and each time by up to a half more or less, so
 * that many who failed together do not come back together. Pure: whoever waits has the timer.
 */
export class BackOff {
  readonly #random: () => number
  readonly #init: BackOffInit
  #mean: number

  /** @param components.random from 0 to 1 */
  constructor(components: { readonly random: () => number }, init: BackOffInit) {
    this.#random = components.random
    this.#init = init
    this.#mean = init.first
  }

  /** The next wait, ms. */
  next(): number {
    const mean = this.#mean
    this.#mean = Math.min(this.#init.most, 2 * mean)
    return mean * (0.5 + this.#random())
  }

  /** Something came of it: the next wait is as short as the first. */
  reset(): void {
    this.#mean = this.#init.first
  }
}
