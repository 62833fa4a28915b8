import type { Clock } from '../base/index.ts'
import { BACK_OFF_MS, PENALTY } from './constants.ts'

/**
 * What the losses of one server weigh against it: one each at first, and half as much with time and with proven work, as
 * routes that flap are damped (RFC 2439). The more it weighs the longer the server is left alone, and never for good.
 */
export class Penalty {
  readonly #clock: Clock
  readonly #random: () => number
  #weight = 0
  /** When it weighed so much, ms. */
  #weighedAt = 0
  #waitUntil = 0

  /** @param components.random from 0 to 1: so that clients that lost a server together do not come back together */
  constructor(components: { clock: Clock; random: () => number }) {
    this.#clock = components.clock
    this.#random = components.random
  }

  /** The server was lost: another one is preferred now. After the first time it is tried again at once. */
  lost(): void {
    this.#weigh(Math.min(PENALTY.most, this.#now + 1))
    if (this.suspicion < 2) return
    const waitMs = Math.min(BACK_OFF_MS.most, BACK_OFF_MS.first * 2 ** (this.#weight - 2))
    this.#waitUntil = this.#clock.now() + waitMs * (0.5 + this.#random())
  }

  /** A pass went through the server, and what it did was proven. */
  worked(): void {
    this.#weigh(this.#now * 2 ** (-1 / PENALTY.halfPasses))
    this.#waitUntil = 0
  }

  /** Losses that are not forgotten. */
  get suspicion(): number {
    return Math.round(this.#now)
  }

  /** How long it is to be left alone, ms; 0 where it is not. */
  get waitMs(): number {
    return Math.max(0, this.#waitUntil - this.#clock.now())
  }

  get #now(): number {
    return this.#weight * 2 ** ((this.#weighedAt - this.#clock.now()) / PENALTY.halfLifeMs)
  }

  #weigh(weight: number): void {
    this.#weight = weight
    this.#weighedAt = this.#clock.now()
  }
}
