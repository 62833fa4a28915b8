import { KEPT_SLAB_BYTES } from './constants.ts'

/** A run of consecutive tokens' hidden states, in one piece. */
export interface KeptRun {
  readonly position: number
  readonly n: number
  /** float32 [n, hidden], little-endian; a view of what is kept. */
  readonly bytes: Uint8Array
}

interface Slab {
  readonly position: number
  readonly bytes: Uint8Array
  /** Tokens in it. */
  tokens: number
}

/**
 * The hidden states that entered one block boundary, token by token, kept while the session lives: for a server that
 * lost its push, and for one that takes another's place. Storage grows by slabs and is never copied. Memory that was
 * given out is never given out again, since it may still be under way to or from a peer when the sequence is cut.
 *
 *     slabs    [ 0 ....... 255 ] [ 256 ....... ]
 *                                       ▲ length
 */
export class KeptInputs {
  readonly rowBytes: number
  readonly #slabTokens: number
  #slabs: Slab[] = []
  #open: Slab | null = null

  /** @param rowBytes bytes of one token's hidden states */
  constructor(rowBytes: number) {
    this.rowBytes = rowBytes
    this.#slabTokens = Math.max(1, Math.floor(KEPT_SLAB_BYTES / rowBytes))
  }

  /** Tokens kept, or being received. */
  get length(): number {
    const last = this.#slabs.at(-1)
    return last === undefined ? 0 : last.position + last.tokens
  }

  /** Memory for the next `n` tokens, in one piece; the caller fills it. */
  reserve(n: number): Uint8Array {
    let slab = this.#open
    if (slab === null || (slab.tokens + n) * this.rowBytes > slab.bytes.length) {
      slab = { position: this.length, bytes: new Uint8Array(Math.max(n, this.#slabTokens) * this.rowBytes), tokens: 0 }
      this.#slabs.push(slab)
      this.#open = slab
    }
    const start = slab.tokens * this.rowBytes
    slab.tokens += n
    return slab.bytes.subarray(start, start + n * this.rowBytes)
  }

  /** Forgets the tokens at `length` and beyond. */
  truncate(length: number): void {
    if (length >= this.length) return
    this.#slabs = this.#slabs.filter(slab => slab.position < length)
    const last = this.#slabs.at(-1)
    if (last !== undefined) last.tokens = Math.min(last.tokens, length - last.position)
    this.#open = null
  }

  /** The tokens `from` to `to - 1` as few runs of at most `maxTokens` each. */
  *runs(from: number, to: number, maxTokens: number): Generator<KeptRun> {
    for (const slab of this.#slabs) {
      const end = Math.min(to, slab.position + slab.tokens)
      for (let position = Math.max(from, slab.position); position < end; ) {
        const n = Math.min(maxTokens, end - position)
        const start = (position - slab.position) * this.rowBytes
        yield { position, n, bytes: slab.bytes.subarray(start, start + n * this.rowBytes) }
        position += n
      }
    }
  }
}
