import type { Tokenizer } from './tokenizer.ts'

/** An unfinished UTF-8 character is at most three bytes, and a decoder writes at most one of these for each. */
const replacement = '\ufffd'
const longestUnfinished = 3

/** Ids that are decoded again with each new one, at most, and how many are left when there are more. */
const longestWindow = 16
const shortestWindow = 8

/**
 * Token ids to text as they come. A character whose bytes are spread over several tokens is held back until it is
 * whole, so what was emitted never changes; concatenated it equals `decode` of all ids.
 *
 * Some decoders drop a leading space, so ids are not decoded one by one but in a window that begins before them.
 */
export class DetokenizerStream {
  readonly #tokenizer: Pick<Tokenizer, 'decode'>
  #window: number[] = []
  /** Characters of the window's text that were emitted. */
  #emitted = 0

  constructor(tokenizer: Pick<Tokenizer, 'decode'>) {
    this.#tokenizer = tokenizer
  }

  /** The text that is certain after this token; may be empty. */
  push(id: number): string {
    this.#window.push(id)
    const text = this.#tokenizer.decode(this.#window)
    const certain = Math.max(this.#emitted, certainLength(text))
    const out = text.slice(this.#emitted, certain)
    this.#emitted = certain
    if (this.#window.length > longestWindow) this.#shrink(text.length - certain)
    return out
  }

  /** The rest, with replacement characters where the last character was never finished. */
  flush(): string {
    const out = this.#tokenizer.decode(this.#window).slice(this.#emitted)
    this.#window = []
    this.#emitted = 0
    return out
  }

  /**
   * Forgets the first ids. Where a decoder stands within a character depends on the last three bytes alone; each
   * character of text stands for a byte or more, so ids that give four characters are context enough.
   */
  #shrink(held: number): void {
    const kept = this.#window.slice(-shortestWindow)
    const { length } = this.#tokenizer.decode(kept)
    if (length <= longestUnfinished) return
    this.#window = kept
    this.#emitted = length - held
  }
}

/** Characters before those at the end that a later token may yet change. */
function certainLength(text: string): number {
  let length = text.length
  while (text.length - length < longestUnfinished && text.endsWith(replacement, length)) length--
  return length
}
