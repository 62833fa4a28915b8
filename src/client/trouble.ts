import { type AndthenError, BackOff, type Clock } from '../base/index.ts'
import { MAX_REPAIRS, REPLAY_WAIT_MS } from './constants.ts'

/** What a generation runs into between two passes that are done: how often, and since when nothing comes of it. */
export class Trouble {
  readonly #clock: Clock
  readonly #waitMs: number
  /** Between replays that are interrupted before anything comes of them. */
  readonly #backOff: BackOff
  #failure: AndthenError | null = null
  /** Times that something came of it, and then servers were lost again. */
  #setbacks = 0
  /** Servers that were lost since something came of it. */
  #losses = 0
  #since = 0

  /**
   * @param components.random from 0 to 1: so that clients whose replays one server interrupts do not come back together
   * @param init.waitMs for how long to go on while nothing comes of it
   */
  constructor(components: { clock: Clock; random: () => number }, init: { waitMs: number }) {
    this.#clock = components.clock
    this.#waitMs = init.waitMs
    this.#backOff = new BackOff(components, REPLAY_WAIT_MS)
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

  /**
   * A replay was interrupted, and its server is there again: for how long to leave the link alone, ms. Nothing the first time, or
   * where something came of it; no longer than patience lasts.
   */
  interrupted(failure: AndthenError): number {
    this.failed(failure)
    return this.#losses === 1 ? 0 : Math.min(this.leftMs, this.#backOff.next())
  }

  /** A server has no room: it is there, and says itself when to ask again. */
  full(failure: AndthenError): void {
    this.#failure = failure
    this.progress()
  }

  /** Something came of it, though no pass is done. */
  progress(): void {
    this.#losses = 0
    this.#backOff.reset()
  }

  /** A pass is done. */
  over(): void {
    this.progress()
    this.#failure = null
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
