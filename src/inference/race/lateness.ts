/** `NeedCopy` waits this long at least: a push that is merely late should win. */
const LEAST_PATIENCE_MS = 50
/** And no longer, whatever came before: who pushes late on purpose gains this much a step at most. */
export const MOST_PATIENCE_MS = 1000
/** Between these, this many times the usual lateness of this session's pushes. */
const LATENESS_FACTOR = 4
/** Weight of the newest sample in the smoothed lateness. */
const GAIN = 0.2

/** How long after the owner's `Verify` those of this session's pushes come that are there before the copy, smoothed. */
export class Lateness {
  #smoothedMs = 0

  /** A push came `ms` after it was verified, and was used. One that lost to the copy was not worth waiting for. */
  add(ms: number): void {
    this.#smoothedMs += GAIN * (ms - this.#smoothedMs)
  }

  get smoothedMs(): number {
    return this.#smoothedMs
  }

  /** How long a verified push is waited for, ms. */
  get patienceMs(): number {
    return Math.min(MOST_PATIENCE_MS, Math.max(LEAST_PATIENCE_MS, LATENESS_FACTOR * this.#smoothedMs))
  }
}
