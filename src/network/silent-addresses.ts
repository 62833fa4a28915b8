import type { Clock } from '../base/index.ts'
import { relayOf } from './peer-address.ts'

export interface SilentAddressesInit {
  /** How long an address that did not answer is remembered, ms. */
  readonly forMs: number
  /** Addresses remembered; beyond them the oldest is forgotten. */
  readonly most: number
}

/** Addresses that did not answer when they were dialled: whoever asks for them again is told so at once, for a while. */
export class SilentAddresses {
  readonly #clock: Clock
  readonly #init: SilentAddressesInit
  /** Until when, the oldest first. */
  readonly #until = new Map<string, number>()

  constructor(components: { readonly clock: Clock }, init: SilentAddressesInit) {
    this.#clock = components.clock
    this.#init = init
  }

  has(address: string): boolean {
    return this.#clock.now() < (this.#until.get(placeOf(address)) ?? Number.NEGATIVE_INFINITY)
  }

  add(address: string): void {
    const place = placeOf(address)
    this.#until.delete(place)
    this.#until.set(place, this.#clock.now() + this.#init.forMs)
    const [oldest] = this.#until.keys()
    if (this.#until.size > this.#init.most && oldest !== undefined) this.#until.delete(oldest)
  }

  /** It has answered. */
  delete(address: string): void {
    this.#until.delete(placeOf(address))
  }
}

/** Of a direct address it is the place that is silent, whoever is said to be there. */
function placeOf(address: string): string {
  return relayOf(address) === undefined ? address.replace(/\/p2p\/[^/]+$/, '') : address
}
