import type { AndthenError, Clock } from '../base/index.ts'
import { MAX_REPAIRS } from './constants.ts'

/** What a generation runs into between two passes that are done: how often, and since when nothing comes of it. */
export class Trouble {
  readonly #clock: Clock
  readonly #waitMs: number
  #failure: AndthenError | null = null
  /** Times that something came of it, and then servers were lost again. */
  #setbacks = 0
  /** Servers that were lost since something came of it. */
  #losses = 0
  #since = 0

  /** @param init.waitMs for how long to go on while nothing comes of it */
  constructor(components: { clock: Clock }, init: { waitMs: number }) {
    this.#clock = components.clock
    this.#waitMs = init.waitMs
  }

  /** What failed last; null: nothing since a pass was done. */
  get failure(): AndthenError | null {
    return this.#failure
  }

  /** A server was lost, or is at fault. */
  failed(failure: AndthenError): void {
    this.#failure = failure
    if (this.#losses === 0) {
      this.#since = this.#clock.now()
      this.#setbacks++
    }
    this.#losses++
  }

  /** A server has no room: it is there, and says itself when to ask again. */
  full(failure: AndthenError): void {
    this.#failure = failure
    this.progress()
  }

  /** Something came of it, though no pass is done. */
  progress(): void {
    this.#losses = 0
  }

  /** A pass is done. */
  over(): void {
    this.#failure = null
    this.#losses = 0
    this.#setbacks = 0
  }

  /** Servers were lost again and again within one pass, whatever came of it: the network is broken, or they are. */
  get isHopeless(): boolean {
    return this.#setbacks > MAX_REPAIRS
  }

  /** For how long nothing has come of it, ms. */
  get spentMs(): number {
    return this.#losses === 0 ? 0 : this.#clock.now() - this.#since
  }

  /** How much longer lost servers may be waited for, ms. */
  get leftMs(): number {
    return Math.max(0, this.#waitMs - this.spentMs)
  }

  /** Lost servers were waited for as long as they may be. There is a second attempt, however short that is. */
  get isPatienceOver(): boolean {
    return this.#losses > 1 && this.leftMs === 0
  }
}
