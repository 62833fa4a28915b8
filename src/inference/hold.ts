import type { PushArrival } from './race-types.ts'

interface Held<I> {
  readonly push: PushArrival<I>
  readonly expiresAt: number
}

/** Pushes that came before the owner's word on their step: few, small, and not for long. */
export class Hold<I> {
  readonly #maxSteps: number
  readonly #maxBytes: number
  readonly #holdMs: number
  #held: Held<I>[] = []
  #bytes = 0

  constructor(init: { maxSteps: number; maxBytes: number; holdMs: number }) {
    this.#maxSteps = init.maxSteps
    this.#maxBytes = init.maxBytes
    this.#holdMs = init.holdMs
  }

  /** False when the push is a duplicate, or there is no room. */
  add(push: PushArrival<I>, now: number): 'held' | 'duplicate' | 'hold-full' {
    if (this.#held.some(({ push: other }) => other.epoch === push.epoch && other.step === push.step)) return 'duplicate'
    if (this.#held.length >= this.#maxSteps || this.#bytes + push.bytes > this.#maxBytes) return 'hold-full'
    this.#held.push({ push, expiresAt: now + this.#holdMs })
    this.#bytes += push.bytes
    return 'held'
  }

  /** Takes out the push of this step, if it is held. */
  take(epoch: number, step: number): PushArrival<I> | undefined {
    return this.#remove(held => held.push.epoch === epoch && held.push.step === step)[0]
  }

  /** Takes out what no step can use any more: earlier epochs. */
  takeBefore(epoch: number): PushArrival<I>[] {
    return this.#remove(held => held.push.epoch < epoch)
  }

  takeExpired(now: number): PushArrival<I>[] {
    return this.#remove(held => held.expiresAt <= now)
  }

  takeAll(): PushArrival<I>[] {
    return this.#remove(() => true)
  }

  /** When the next one expires, ms. */
  get deadline(): number | null {
    return this.#held[0]?.expiresAt ?? null
  }

  get bytes(): number {
    return this.#bytes
  }

  #remove(which: (held: Held<I>) => boolean): PushArrival<I>[] {
    if (this.#held.length === 0) return []
    const taken = this.#held.filter(which).map(held => held.push)
    if (taken.length === 0) return taken
    this.#held = this.#held.filter(held => !which(held))
    this.#bytes -= taken.reduce((sum, push) => sum + push.bytes, 0)
    return taken
  }
}
