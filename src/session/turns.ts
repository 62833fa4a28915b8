/** A turn is so many times as long as it takes to swap two sessions: then swapping takes a twentieth of a row's time at most. */
const SWAPS_A_TURN = 20
/** And so many at least, however long that is: else sessions whose rows are large would do little but move. */
const LEAST_SWAPS_A_TURN = 4
/** To one session's row out, and another's in. */
const MOVES_A_SWAP = 2
/** Weight of the newest move in what a move takes. */
const GAIN = 0.2

export interface TurnsInit {
  /** Until moves were measured, and at most where they are not very slow, ms. */
  readonly longestMs: number
  /** Another server comes before this one in every chain. */
  readonly follows: boolean
}

/**
 * How long a session keeps its row while another of the same priority wants one.
 *
 * A token needs a row on every server of its chain, and servers have neither a clock nor a name for a session in common.
 * If each gave turns of its own, a session would have one here and not there, and a token wait for turn after turn. So
 * the first server of the chain gives turns, and the others follow what comes: a token that got there has its turn, and
 * goes before a session that has none there. Where a server that follows has as many rows as the first, there is always
 * a resident that the first does not let run any more, and it is the one that ran longest ago.
 *
 * Source: demand-based coscheduling (Sobalvarro and Weihl, JSSPP 1995): a message's arrival says who runs elsewhere.
 */
export class Turns {
  readonly #init: TurnsInit
  /** What it takes to save a row or to load one, ms; null before there was one. */
  #moveMs: number | null = null

  constructor(init: TurnsInit) {
    this.#init = init
  }

  /** A row was saved, or loaded. */
  moved(ms: number): void {
    this.#moveMs = this.#moveMs === null ? ms : this.#moveMs + GAIN * (ms - this.#moveMs)
  }

  get lengthMs(): number {
    const { follows, longestMs } = this.#init
    if (follows) return 0
    if (this.#moveMs === null) return longestMs
    const swapMs = MOVES_A_SWAP * this.#moveMs
    return Math.min(SWAPS_A_TURN * swapMs, Math.max(longestMs, LEAST_SWAPS_A_TURN * swapMs))
  }
}
