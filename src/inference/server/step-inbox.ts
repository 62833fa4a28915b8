import type { BufferPool, StatesBuffer } from '../buffers.ts'

/** Tensors of one sender that are under way: bounded in bytes, each with a buffer of its own. */
export class StepInbox {
  readonly #pool: BufferPool
  readonly #maxBytes: number
  /** By the view that the reader fills. */
  readonly #filling = new Map<Uint8Array, StatesBuffer>()
  #bytes = 0

  constructor(pool: BufferPool, init: { maxBytes: number }) {
    this.#pool = pool
    this.#maxBytes = init.maxBytes
  }

  fits(bytes: number): boolean {
    return this.#bytes + bytes <= this.#maxBytes
  }

  /** Where `bytes` of tensor go. */
  begin(bytes: number): Uint8Array {
    const buffer = this.#pool.take(bytes)
    this.#filling.set(buffer.bytes, buffer)
    this.#bytes += bytes
    return buffer.bytes
  }

  /** The buffer behind a view that is full; undefined for one that was forgotten meanwhile. */
  finish(view: Uint8Array): StatesBuffer | undefined {
    const buffer = this.#filling.get(view)
    if (buffer === undefined) return undefined
    this.#filling.delete(view)
    this.#bytes -= view.length
    return buffer
  }

  /** The stream is gone: what was under way will not be finished. */
  forget(): void {
    this.#filling.clear()
    this.#bytes = 0
  }
}
