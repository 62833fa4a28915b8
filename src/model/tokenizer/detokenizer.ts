import type { Tokenizer } from './tokenizer.ts'

/** An unfinished UTF-8 character is at most three bytes, and a decoder writes at most one of these for each. */
const replacement = '\ufffd'
const longestUnfinished = 3

/**
 * Token ids to text as they come. A character whose bytes are spread over several tokens is held back until it is
 * whole, so what was emitted never changes; concatenated it equals `decode` of all ids.
 *
 * Decoding is not compositional (some decoders drop a leading space), so a window of the last ids is decoded again: it
 * begins where the text was last whole, one token before the new ones.
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
    const start = this.#window.length
    this.#window.push(id)
    const text = this.#tokenizer.decode(this.#window)
    const whole = wholeLength(text)
    const out = text.slice(this.#emitted, whole)
    this.#emitted = Math.max(this.#emitted, whole)
    if (whole === text.length && this.#emitted === text.length) this.#shrink(start)
    return out
  }

  /** The rest, with replacement characters where the last character was never finished. */
  flush(): string {
    const out = this.#tokenizer.decode(this.#window).slice(this.#emitted)
    this.#window = []
    this.#emitted = 0
    return out
  }

  /** Keeps the ids from `start` on, when they are a whole text of their own, as context for what follows. */
  #shrink(start: number): void {
    if (start === 0) return
    const kept = this.#window.slice(start)
    const text = this.#tokenizer.decode(kept)
    if (text === '' || text.includes(replacement)) return
    this.#window = kept
    this.#emitted = text.length
  }
}

function wholeLength(text: string): number {
  let length = text.length
  while (text.length - length < longestUnfinished && text.endsWith(replacement, length)) length--
  return length
}
