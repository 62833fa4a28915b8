import type { BufferPool, StatesBuffer } from '../../buffers.ts'

/**
 * The owner's tensors, from their first byte until the step that they are for is computed: bounded in bytes, each with a
 * buffer of its own.
 */
export class StepInbox {
  readonly #pool: BufferPool
  readonly #maxBytes: number
  /** By the view that the reader fills. */
  readonly #filling = new Map<Uint8Array, StatesBuffer>()
  readonly #held = new Set<StatesBuffer>()
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
    this.#held.add(buffer)
    this.#bytes += bytes
    return buffer.bytes
  }

  /** The buffer behind a view that is full; undefined for one that was forgotten meanwhile. */
  finish(view: Uint8Array): StatesBuffer | undefined {
    const buffer = this.#filling.get(view)
    this.#filling.delete(view)
    return buffer
  }

  /** A buffer is of no further use; those that did not come through here are given back all the same. */
  release(buffer: StatesBuffer): void {
    if (this.#held.delete(buffer)) this.#bytes -= buffer.bytes.length
    this.#pool.giveBack(buffer)
  }

  /** The stream is gone: what was under way will not be finished. */
  forget(): void {
    for (const buffer of this.#filling.values()) if (this.#held.delete(buffer)) this.#bytes -= buffer.bytes.length
    this.#filling.clear()
  }
}
