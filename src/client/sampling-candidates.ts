/**
 * Token ids as a binary heap, the likeliest on top (of equals, the lower id), so that taking the few likeliest of a
 * large vocabulary costs one pass over it and no sort. Ids taken stay in the array, behind the heap:
 *
 *     [ heap: size ids | ..., third taken, second taken, first taken ]
 */
export class Candidates {
  readonly #ids: Uint32Array
  readonly #scores: Float32Array
  #size = 0

  /** @param scores float32 [vocab], read in place; call `reset` after changing them */
  constructor(scores: Float32Array) {
    this.#scores = scores
    this.#ids = new Uint32Array(scores.length)
  }

  /** Puts every id of the vocabulary back. */
  reset(): void {
    this.#size = this.#ids.length
    for (let id = 0; id < this.#size; id++) this.#ids[id] = id
    for (let place = (this.#size >> 1) - 1; place >= 0; place--) this.#sink(place)
  }

  get taken(): number {
    return this.#ids.length - this.#size
  }

  /** Takes the likeliest id that is left; undefined when none is. */
  take(): number | undefined {
    if (this.#size === 0) return undefined
    const top = this.#at(0)
    this.#size--
    this.#ids[0] = this.#at(this.#size)
    this.#ids[this.#size] = top
    this.#sink(0)
    return top
  }

  /** The score that `take` would take next; -Infinity when none is left. */
  nextScore(): number {
    return this.#size === 0 ? Number.NEGATIVE_INFINITY : this.#score(this.#at(0))
  }

  /** The id that was taken `nth`, from 0. */
  takenAt(nth: number): number {
    return this.#at(this.#ids.length - 1 - nth)
  }

  #sink(start: number): void {
    const id = this.#at(start)
    let place = start
    for (;;) {
      let child = 2 * place + 1
      if (child >= this.#size) break
      if (child + 1 < this.#size && this.#before(this.#at(child + 1), this.#at(child))) child++
      if (!this.#before(this.#at(child), id)) break
      this.#ids[place] = this.#at(child)
      place = child
    }
    this.#ids[place] = id
  }

  #before(one: number, other: number): boolean {
    const a = this.#score(one)
    const b = this.#score(other)
    return a > b || (a === b && one < other)
  }

  #at(place: number): number {
    return this.#ids[place] ?? 0
  }

  #score(id: number): number {
    return this.#scores[id] ?? Number.NEGATIVE_INFINITY
  }
}
