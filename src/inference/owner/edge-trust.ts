/** Pushes in a row after which an edge needs no copies; as many again, doubled, after each one that failed. */
const FEWEST_PUSHES = 8
const MOST_PUSHES = 1024

/**
 * Whether the pushes of one edge can be relied on, so that a digest does in place of the bytes: a copy of every token
 * costs the client's uplink and both ends' time, and is of use only where the push does not come. Pure.
 */
export class EdgeTrust {
  #needed = FEWEST_PUSHES
  #inARow = 0

  /** The last pushes were all used. */
  get reliable(): boolean {
    return this.#inARow >= this.#needed
  }

  /** A server ran on what was pushed to it. */
  used(): void {
    this.#inARow++
  }

  /** A push did not come, or not in time. One that was reliable before has to show more from now on. */
  failed(): void {
    if (this.reliable) this.#needed = Math.min(2 * this.#needed, MOST_PUSHES)
    this.#inARow = 0
  }
}
