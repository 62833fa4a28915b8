import { KEPT_SLAB_BYTES } from './constants.ts'

/** A run of consecutive tokens' hidden states, in one piece. */
export interface KeptRun {
  readonly position: number
  readonly n: number
  /** float32 [n, hidden], little-endian; a view of what is kept. */
  readonly bytes: Uint8Array
}

/** Kept tokens that lie behind each other in memory. */
interface Stretch {
  readonly position: number
  readonly memory: ArrayBufferLike
  readonly byteOffset: number
  /** Tokens in it. */
  tokens: number
}

/**
 * The hidden states that entered one block boundary, token by token, kept while the session lives: for a server that
 * lost its push, and for one that takes another's place. Memory is reserved before hidden states come, and kept once they
 * are known to be right: what came to nothing was never part of the sequence. Storage grows by slabs and is never copied,
 * and no memory is given out twice, since it may still be under way to or from a peer.
 *
 *     slab  [ kept, kept | came to nothing | kept | reserved, reserved |   free   ]
 */
export class KeptInputs {
  readonly rowBytes: number
  readonly #slabTokens: number
  readonly #stretches: Stretch[] = []
  #free = new Uint8Array()
  #length = 0

  /** @param rowBytes bytes of one token's hidden states */
  constructor(rowBytes: number) {
    this.rowBytes = rowBytes
    this.#slabTokens = Math.max(1, Math.floor(KEPT_SLAB_BYTES / rowBytes))
  }

  /** Tokens kept. */
  get length(): number {
    return this.#length
  }

  /** Memory for `n` tokens, in one piece; the caller fills it. */
  reserve(n: number): Uint8Array {
    const bytes = n * this.rowBytes
    if (bytes > this.#free.length) this.#free = new Uint8Array(Math.max(n, this.#slabTokens) * this.rowBytes)
    const memory = this.#free.subarray(0, bytes)
    this.#free = this.#free.subarray(bytes)
    return memory
  }

  /** Keeps the next tokens' hidden states, whole and verified, in memory that was reserved here. */
  keep({ buffer, byteOffset, byteLength }: Uint8Array): void {
    const tokens = byteLength / this.rowBytes
    const last = this.#stretches.at(-1)
    const end = last === undefined ? 0 : last.byteOffset + last.tokens * this.rowBytes
    if (last?.memory === buffer && end === byteOffset) last.tokens += tokens
    else this.#stretches.push({ position: this.#length, memory: buffer, byteOffset, tokens })
    this.#length += tokens
  }

  /** The tokens `from` to `to - 1` as few runs of at most `maxTokens` each. */
  *runs(from: number, to: number, maxTokens: number): Generator<KeptRun> {
    for (const { position: first, memory, byteOffset, tokens } of this.#stretches) {
      const end = Math.min(to, first + tokens)
      for (let position = Math.max(from, first); position < end; ) {
        const n = Math.min(maxTokens, end - position)
        const start = byteOffset + (position - first) * this.rowBytes
        yield { position, n, bytes: new Uint8Array(memory, start, n * this.rowBytes) }
        position += n
      }
    }
  }
}
