/** Of the length before each message: noise's uint16, big-endian. */
const PREFIX_BYTES = 2

/**
 * Cuts what a socket gave into noise's messages. A message that is whole within a chunk is a view of it; of one that is
 * not, as much memory is taken as its length says, 64 KiB at most, and each byte copied once.
 */
export class NoiseFrames {
  /** Of a message that is not whole; null between two messages. */
  #message: Uint8Array | null = null
  #filled = 0
  /** First byte of a length whose second is to come. */
  #high: number | null = null

  /** Bytes kept of a message that is not whole. */
  get heldBytes(): number {
    return this.#message?.length ?? 0
  }

  /** The messages that `chunk` completes, without their lengths; empty ones are left out. */
  take(chunk: Uint8Array): Uint8Array[] {
    const messages: Uint8Array[] = []
    let at = this.#message === null ? 0 : this.#fill(chunk, 0, messages)
    while (at < chunk.length) {
      const length = this.#length(chunk, at)
      if (length === null) break
      at += this.#high === null ? PREFIX_BYTES : PREFIX_BYTES - 1
      this.#high = null
      if (length === 0) continue
      if (at + length <= chunk.length) {
        messages.push(chunk.subarray(at, at + length))
        at += length
      } else {
        this.#message = new Uint8Array(length)
        this.#filled = 0
        at = this.#fill(chunk, at, messages)
      }
    }
    return messages
  }

  /** Null where only half of it is there, which is kept. */
  #length(chunk: Uint8Array, at: number): number | null {
    const first = chunk[at] ?? 0
    if (this.#high !== null) return this.#high * 256 + first
    const second = chunk[at + 1]
    if (second !== undefined) return first * 256 + second
    this.#high = first
    return null
  }

  #fill(chunk: Uint8Array, start: number, messages: Uint8Array[]): number {
    const message = this.#message
    if (message === null) return start
    const piece = chunk.subarray(start, start + message.length - this.#filled)
    message.set(piece, this.#filled)
    this.#filled += piece.length
    if (this.#filled === message.length) {
      messages.push(message)
      this.#message = null
    }
    return start + piece.length
  }
}
