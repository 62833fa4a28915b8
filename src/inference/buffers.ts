/** Hidden states in memory: float32 for the runner, and the same bytes for the wire. */
export interface StatesBuffer {
  readonly states: Float32Array
  readonly bytes: Uint8Array
}

/** Buffers of one size kept at most; a session has few steps under way. */
const KEPT_PER_SIZE = 8
/** Larger ones (prompts) are rare and not worth keeping. */
const LARGEST_KEPT_BYTES = 256 * 1024

/** Hands out aligned buffers and takes them back, so that a decode step allocates nothing. */
export class BufferPool {
  readonly #free = new Map<number, StatesBuffer[]>()

  take(byteLength: number): StatesBuffer {
    return this.#free.get(byteLength)?.pop() ?? newBuffer(byteLength)
  }

  giveBack(buffer: StatesBuffer): void {
    const { byteLength } = buffer.bytes
    if (byteLength > LARGEST_KEPT_BYTES) return
    const kept = this.#free.get(byteLength)
    if (kept === undefined) this.#free.set(byteLength, [buffer])
    else if (kept.length < KEPT_PER_SIZE) kept.push(buffer)
  }
}

/** A buffer of its own, over memory that does not move. */
export function newBuffer(byteLength: number): StatesBuffer {
  const memory = new ArrayBuffer(byteLength)
  return { states: new Float32Array(memory), bytes: new Uint8Array(memory) }
}
