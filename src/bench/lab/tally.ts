import { type Summary, summarize } from '../statistics.ts'

/** What one direction of a link did so far, by the relay's own monotonic clock. */
export interface LaneStats {
  bytesIn: number
  bytesOut: number
  /** Bytes under way or held. */
  queuedBytes: number
  /** Least time between a piece's arrival and its delivery, in ms; null before the first. */
  leastMs: number | null
  /** How much later than planned pieces were handed on, in ms: what the relay's own scheduling adds. Of the last 4096. */
  latenessMs: Summary
}

const kept = 4096

/** Counts for one direction of a link. */
export class Tally {
  bytesIn = 0
  #bytesOut = 0
  #leastMs = Number.POSITIVE_INFINITY
  #pieces = 0
  readonly #lateness = new Float64Array(kept)

  delivered(bytes: number, arrivedAt: number, dueAt: number, now: number): void {
    this.#bytesOut += bytes
    this.#leastMs = Math.min(this.#leastMs, now - arrivedAt)
    this.#lateness[this.#pieces % kept] = now - dueAt
    this.#pieces++
  }

  stats(queuedBytes: number): LaneStats {
    return {
      bytesIn: this.bytesIn,
      bytesOut: this.#bytesOut,
      queuedBytes,
      leastMs: this.#pieces === 0 ? null : this.#leastMs,
      latenessMs: summarize(this.#lateness.subarray(0, Math.min(this.#pieces, kept)))
    }
  }
}
