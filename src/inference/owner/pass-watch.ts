import { MISSING_HEADER_MS, MISSING_HEADER_ROUND_TRIPS, SUSPECT_FACTOR, SUSPECT_MS } from './constants.ts'

/** Weight of the newest pass in the usual time of one. */
const GAIN = 0.2

export interface Waiting {
  /** The last server has answered already. */
  readonly overtaken: boolean
  /** Round trip of the server that is waited for, ms. */
  readonly pingMs: number
}

/** When the chain is quiet for too long: pure, told what happens and when. */
export class PassWatch {
  readonly #stepTimeoutMs: number
  #lastProgress = 0
  #lastAsked = 0
  #usualMs: number | null = null

  constructor(init: { stepTimeoutMs: number }) {
    this.#stepTimeoutMs = init.stepTimeoutMs
  }

  /** A pass started, or something came of one. */
  progress(now: number): void {
    this.#lastProgress = now
  }

  /** Nothing has come of any pass since then, ms. */
  isQuietSince(ms: number): boolean {
    return this.#lastProgress <= ms
  }

  /** How much longer nothing may come of a pass, ms; 1 at the least. */
  leftMs(now: number): number {
    return Math.max(1, this.#lastProgress + this.#stepTimeoutMs - now)
  }

  /** The suspect answered a ping. */
  asked(now: number): void {
    this.#lastAsked = now
  }

  /** A pass of one token took this long. */
  passed(ms: number): void {
    this.#usualMs = this.#usualMs === null ? ms : this.#usualMs + GAIN * (ms - this.#usualMs)
  }

  /** When `check` may find something, ms. */
  get deadline(): number {
    const patient = Math.max(this.#lastProgress, this.#lastAsked) + this.#patienceMs
    return Math.min(this.#lastProgress + this.#stepTimeoutMs, patient)
  }

  /**
   * What to make of the server that is waited for: `failed` where it keeps its header back or the hard limit is over,
   * `suspect` where a ping should tell.
   */
  check(now: number, waiting: Waiting): 'fine' | 'suspect' | 'failed' {
    const quietMs = now - this.#lastProgress
    const header = Math.max(MISSING_HEADER_MS, MISSING_HEADER_ROUND_TRIPS * waiting.pingMs)
    if (quietMs >= this.#stepTimeoutMs || (waiting.overtaken && quietMs >= header)) return 'failed'
    return now - Math.max(this.#lastProgress, this.#lastAsked) >= this.#patienceMs ? 'suspect' : 'fine'
  }

  get #patienceMs(): number {
    return Math.max(SUSPECT_MS, SUSPECT_FACTOR * (this.#usualMs ?? 0))
  }
}
