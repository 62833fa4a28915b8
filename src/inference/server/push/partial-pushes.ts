import type { Clock } from '../../../base/index.ts'
import type { StatesBuffer } from '../../buffers.ts'
import { HOLD_MS } from '../../race/hold.ts'
import type { PushAttachment } from './push-attachment.ts'

/** What of a stream's tensors has come: the reader that fills them. */
interface TensorReader {
  /** Bytes of a tensor that is under way. */
  filled(tensor: Uint8Array): number
  /** Reads past the rest of it. */
  forget(tensor: Uint8Array): void
}

export interface PartialPush {
  readonly attachment: PushAttachment
  readonly buffer: StatesBuffer
}

interface Watched extends PartialPush {
  /** Bytes that were there when it was looked at last. */
  seen: number
}

/**
 * Pushes of one stream that have begun and are not whole. Buffers are taken from the session, and given back for a push
 * of which nothing came for as long as an early one would be held: its sender is stuck, and the copy is under way.
 */
export class PartialPushes {
  readonly #clock: Clock
  readonly #reader: TensorReader
  readonly #onExpired: (push: PartialPush) => void
  /** By the view that the reader fills. */
  readonly #partial = new Map<Uint8Array, Watched>()
  #cancel: (() => void) | null = null

  constructor(components: { clock: Clock; reader: TensorReader }, onExpired: (push: PartialPush) => void) {
    this.#clock = components.clock
    this.#reader = components.reader
    this.#onExpired = onExpired
  }

  /** Where the bytes of a push go. */
  begin(attachment: PushAttachment, bytes: number): Uint8Array {
    const buffer = attachment.hosted.takeBuffer(bytes)
    this.#partial.set(buffer.bytes, { attachment, buffer, seen: 0 })
    this.#watch()
    return buffer.bytes
  }

  /** The push behind a view that is full; undefined for one that was forgotten meanwhile. */
  finish(view: Uint8Array): PartialPush | undefined {
    const push = this.#partial.get(view)
    this.#partial.delete(view)
    return push
  }

  /** Reads past what is under way for this attachment. */
  forgetAll(attachment: PushAttachment): void {
    for (const [view, push] of this.#partial) if (push.attachment === attachment) this.#forget(view, push)
  }

  /** The stream is gone, and nothing is waited for any more. */
  stop(): void {
    this.#cancel?.()
    this.#cancel = null
    this.#partial.clear()
  }

  /** One alarm at a time: a push of a token, whole in one piece, costs none. */
  #watch(): void {
    this.#cancel ??= this.#clock.after(HOLD_MS, () => {
      this.#cancel = null
      this.#expire()
      if (this.#partial.size > 0) this.#watch()
    })
  }

  #expire(): void {
    for (const [view, push] of this.#partial) {
      const filled = this.#reader.filled(view)
      if (filled > push.seen) push.seen = filled
      else {
        this.#forget(view, push)
        this.#onExpired(push)
      }
    }
  }

  #forget(view: Uint8Array, { attachment, buffer }: PartialPush): void {
    this.#partial.delete(view)
    this.#reader.forget(view)
    attachment.hosted.dropBuffer(buffer)
  }
}
