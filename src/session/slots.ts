/** A row of the KV slab, lent to one session. */
export interface Row {
  /** Index of the row, 0 to `slots - 1`. */
  readonly slot: number
  /** How many times this slot was lent: tells a late release from a current one. */
  readonly generation: number
}

/**
 * Lends rows, lowest slot first: a decode run covers the window from its lowest to its highest slot, so low slots keep
 * windows tight.
 */
export class SlotPool {
  readonly #taken: boolean[]
  readonly #generations: number[]

  constructor(slots: number) {
    this.#taken = new Array<boolean>(slots).fill(false)
    this.#generations = new Array<number>(slots).fill(0)
  }

  get free(): number {
    return this.#taken.reduce((sum, taken) => sum + (taken ? 0 : 1), 0)
  }

  take(): Row | undefined {
    const slot = this.#taken.indexOf(false)
    if (slot < 0) return undefined
    const generation = (this.#generations[slot] ?? 0) + 1
    this.#taken[slot] = true
    this.#generations[slot] = generation
    return { slot, generation }
  }

  /** False, and nothing happens, for a row that was given back before, even if its slot is lent again. */
  release(row: Row): boolean {
    if (this.#taken[row.slot] !== true || this.#generations[row.slot] !== row.generation) return false
    this.#taken[row.slot] = false
    return true
  }
}
