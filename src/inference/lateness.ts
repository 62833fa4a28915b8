/** `NeedCopy` waits this long at least: a push that is merely late should win. */
const LEAST_PATIENCE_MS = 50
/** And this many times the usual lateness of this session's pushes. */
const LATENESS_FACTOR = 4
/** Weight of the newest sample in the smoothed lateness. */
const GAIN = 0.2

/** How long after the owner's `Verify` this session's pushes use to come, smoothed. */
export class Lateness {
  #smoothedMs = 0

  /** A push came `ms` after it was verified. */
  add(ms: number): void {
    this.#smoothedMs += GAIN * (ms - this.#smoothedMs)
  }

  /** How long a verified push is waited for, ms. */
  get patienceMs(): number {
    return Math.max(LEAST_PATIENCE_MS, LATENESS_FACTOR * this.#smoothedMs)
  }
}
