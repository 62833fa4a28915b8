/** Hidden states in memory: float32 for the runner, and the same bytes for the wire. */
export interface StatesBuffer {
  readonly states: Float32Array
  readonly bytes: Uint8Array
}

/** Kept at most by one pool: a session's decode steps under way, not its prompts. */
const KEPT_BYTES = 1024 * 1024

/** Hands out aligned buffers for inputs and takes them back. Outputs have memory of their own: they may be sent again. */
export class BufferPool {
  readonly #free = new Map<number, StatesBuffer[]>()
  #keptBytes = 0

  take(byteLength: number): StatesBuffer {
    const kept = this.#free.get(byteLength)?.pop()
    if (kept === undefined) return newBuffer(byteLength)
    this.#keptBytes -= byteLength
    return kept
  }

  giveBack(buffer: StatesBuffer): void {
    const { byteLength } = buffer.bytes
    if (this.#keptBytes + byteLength > KEPT_BYTES) return
    this.#keptBytes += byteLength
    const kept = this.#free.get(byteLength)
    if (kept === undefined) this.#free.set(byteLength, [buffer])
    else kept.push(buffer)
  }
}

/** A buffer of its own, over memory that does not move. */
export function newBuffer(byteLength: number): StatesBuffer {
  const memory = new ArrayBuffer(byteLength)
  return { states: new Float32Array(memory), bytes: new Uint8Array(memory) }
}
