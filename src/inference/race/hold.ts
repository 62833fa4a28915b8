import type { Receipt } from '../../wire/index.ts'
import type { PushArrival } from './race-types.ts'

/** How long a push is held whose step the owner does not name, and how long one that is not whole may stand still, ms. */
export const HOLD_MS = 2000

interface Held<I> {
  readonly push: PushArrival<I>
  /** When it came, ms. */
  readonly arrivedAt: number
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

  /** The oldest first. */
  get held(): readonly Held<I>[] {
    return this.#held
  }

  /** Keeps the push, or says why not. */
  add(push: PushArrival<I>, now: number): 'held' | 'duplicate' | 'hold-full' {
    if (this.#held.some(({ push: other }) => other.epoch === push.epoch && other.step === push.step)) return 'duplicate'
    if (this.#held.length >= this.#maxSteps || this.#bytes + push.bytes > this.#maxBytes) return 'hold-full'
    this.#held.push({ push, arrivedAt: now })
    this.#bytes += push.bytes
    return 'held'
  }

  /** Takes out the push of this step, if it is held, and when it came. */
  take(epoch: number, step: number): Held<I> | undefined {
    return this.#remove(({ push }) => push.epoch === epoch && push.step === step)[0]
  }

  /** Takes out the push that came with just this receipt. */
  takeWith(receipt: Receipt): PushArrival<I> | undefined {
    return this.#remove(({ push }) => push.receipt === receipt)[0]?.push
  }

  /** Takes out what no step can use any more: earlier epochs. */
  takeBefore(epoch: number): PushArrival<I>[] {
    return this.#remove(({ push }) => push.epoch < epoch).map(held => held.push)
  }

  takeExpired(now: number): PushArrival<I>[] {
    return this.#remove(({ arrivedAt }) => arrivedAt + this.#holdMs <= now).map(held => held.push)
  }

  takeAll(): PushArrival<I>[] {
    return this.#remove(() => true).map(held => held.push)
  }

  /** When the next one expires, ms: they are held equally long, so it is the first that came. */
  get deadline(): number | null {
    const first = this.#held[0]
    return first === undefined ? null : first.arrivedAt + this.#holdMs
  }

  #remove(which: (held: Held<I>) => boolean): Held<I>[] {
    const taken = this.#held.filter(which)
    if (taken.length === 0) return taken
    this.#held = this.#held.filter(held => !which(held))
    this.#bytes -= taken.reduce((sum, { push }) => sum + push.bytes, 0)
    return taken
  }
}
