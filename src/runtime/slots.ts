import { LengthExceededError, PositionError, SlotError } from './errors.ts'

/** How many tokens each row of the slab holds. */
export class Slots {
  readonly count: number
  readonly maxLength: number
  readonly #lengths: Int32Array

  constructor(count: number, maxLength: number) {
    this.count = count
    this.maxLength = maxLength
    this.#lengths = new Int32Array(count)
  }

  length(slot: number): number {
    const length = this.#lengths[slot]
    if (length === undefined) {
      throw new SlotError(`there is no slot ${slot}: slots are 0 to ${this.count - 1}`, slot)
    }
    return length
  }

  /** @throws SlotError, PositionError or LengthExceededError unless `tokens` more from `position` extend the slot */
  checkRun(slot: number, position: number, tokens: number): void {
    const length = this.length(slot)
    if (position !== length) {
      throw new PositionError(`position ${position} is not the length of slot ${slot}, ${length}`, slot, length)
    }
    if (length + tokens > this.maxLength) {
      const message = `${length} + ${tokens} tokens exceed the ${this.maxLength} that a slot holds`
      throw new LengthExceededError(message, this.maxLength)
    }
  }

  grow(slot: number, tokens: number): void {
    this.#lengths[slot] = this.length(slot) + tokens
  }

  /** @throws PositionError when the slot holds fewer tokens than `length` */
  rewind(slot: number, length: number): void {
    const current = this.length(slot)
    if (!Number.isInteger(length) || length < 0 || length > current) {
      throw new PositionError(`slot ${slot} has ${current} tokens and cannot go back to ${length}`, slot, current)
    }
    this.#lengths[slot] = length
  }
}
