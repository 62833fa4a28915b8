import { MAX_FRAGMENT_BYTES } from './constants.ts'
import { prefixed } from './frame.ts'
import type { FrameCodec, Outgoing } from './schema.ts'

/** Where frames go: a stream. `send` returns false when the stream wants no more until it calls `drained`. */
export interface ByteSink {
  send(parts: Uint8Array[]): boolean
}

export interface TensorOptions {
  /** Long tensors of different keys take turns, fragment by fragment. @default '' */
  key?: string
  /** Asked before the message is begun: true drops it unsent, for work that a rewind has made stale. */
  stale?: () => boolean
}

interface Job<M> {
  message: Outgoing<M> | null
  bytes: Uint8Array
  tensor: number
  offset: number
  options: TensorOptions
}

/**
 * Writes messages to a stream. Messages without a tensor go first, between the fragments of others. Messages with one
 * keep their order: a short tensor goes along with its message, a long one (more than a fragment) after it, so that the
 * receiver knows the digests while the bytes are still under way; long ones of different keys take turns. Nothing is
 * copied: a tensor must not change any more.
 *
 *     control  ───────────────────────────┐
 *     messages with tensors, in order ───┐│
 *     bytes of long a  ──┐               ▼▼
 *     bytes of long b  ──┴─ turns ──────▶ sink
 */
export class MessageWriter<M> {
  readonly #codec: Pick<FrameCodec<M>, 'encode'>
  readonly #sink: ByteSink
  readonly #control: Uint8Array[] = []
  /** Messages with tensors that are not begun. */
  readonly #messages: Job<M>[] = []
  /** Tensors whose message is sent and whose bytes are not, by key. */
  readonly #long = new Map<string, Job<M>[]>()
  #writable = true
  #queuedBytes = 0
  #tensors = 0

  constructor(components: { codec: Pick<FrameCodec<M>, 'encode'>; sink: ByteSink }) {
    this.#codec = components.codec
    this.#sink = components.sink
  }

  /** Bytes accepted and not yet handed to the stream. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  send(message: Outgoing<M>): void {
    const frame = prefixed(this.#codec.encode(message, null))
    this.#control.push(frame)
    this.#queuedBytes += frame.length
    this.#pump()
  }

  sendTensor(message: Outgoing<M>, bytes: Uint8Array, options: TensorOptions = {}): void {
    const job: Job<M> = { message, bytes, tensor: ++this.#tensors, offset: 0, options }
    this.#queuedBytes += bytes.length
    this.#messages.push(job)
    this.#pump()
  }

  /** The stream takes more again. */
  drained(): void {
    this.#writable = true
    this.#pump()
  }

  /** Drops all that is queued: the stream is gone. */
  clear(): void {
    this.#control.length = 0
    this.#messages.length = 0
    this.#long.clear()
    this.#queuedBytes = 0
    this.#writable = false
  }

  #pump(): void {
    while (this.#writable) {
      const control = this.#control.shift()
      if (control !== undefined) {
        this.#queuedBytes -= control.length
        this.#writable = this.#sink.send([control])
        continue
      }
      const job = this.#nextJob()
      if (job === undefined) return
      this.#writeFragment(job)
    }
  }

  #nextJob(): Job<M> | undefined {
    for (;;) {
      const job = this.#messages.shift()
      if (job === undefined) break
      if (job.options.stale?.() !== true) return job
      this.#drop(job)
    }
    for (const [key, queue] of this.#long) {
      // Re-inserting moves the key behind the others: round robin by insertion order.
      this.#long.delete(key)
      const job = queue[0]
      if (job === undefined) continue
      if (job.offset + MAX_FRAGMENT_BYTES >= job.bytes.length) queue.shift()
      if (queue.length > 0) this.#long.set(key, queue)
      return job
    }
    return undefined
  }

  #drop(job: Job<M>): void {
    this.#queuedBytes -= job.bytes.length
  }

  #writeFragment(job: Job<M>): void {
    const { message, bytes } = job
    const long = bytes.length > MAX_FRAGMENT_BYTES
    // The message of a long tensor goes without bytes: they wait for their turn.
    const length = long && message !== null ? 0 : MAX_FRAGMENT_BYTES
    const payload = bytes.subarray(job.offset, job.offset + length)
    const fragment = { tensor: job.tensor, offset: job.offset, total: bytes.length, length: payload.length }
    const header = prefixed(this.#codec.encode(message, fragment))
    job.message = null
    job.offset += payload.length
    this.#queuedBytes -= payload.length
    if (long && message !== null) this.#enqueueBytes(job)
    this.#writable = this.#sink.send(payload.length > 0 ? [header, payload] : [header])
  }

  #enqueueBytes(job: Job<M>): void {
    const key = job.options.key ?? ''
    const queue = this.#long.get(key)
    if (queue === undefined) this.#long.set(key, [job])
    else queue.push(job)
  }
}
