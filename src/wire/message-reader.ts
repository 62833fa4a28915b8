import { WireError } from './errors.ts'
import { FrameDecoder } from './frame.ts'
import type { Fragment } from './message-parts.ts'
import type { FrameCodec } from './schema.ts'

export interface MessageHandler<M> {
  /**
   * A message, as soon as its header is there; `bytes` of tensor follow (0: none). Returns where they go, exactly
   * `bytes` long, or null to read past them.
   */
  onMessage(message: M, bytes: number): Uint8Array | null
  /** The tensor announced with `message` is complete in `tensor`. Not called where it was read past. */
  onTensor(message: M, tensor: Uint8Array): void
}

export interface MessageReaderInit {
  /** Bytes of one tensor at most; a larger one is refused by its header. */
  maxTensorBytes: number
  /** Tensors that may be under way at once, interleaved. @default 64 */
  maxOpenTensors?: number
}

interface OpenTensor<M> {
  readonly message: M
  into: Uint8Array | null
  total: number
  filled: number
}

/** Puts a stream's frames together into messages with their tensors, each byte of which is copied once. */
export class MessageReader<M> {
  readonly #decoder: FrameDecoder<M>
  readonly #handler: MessageHandler<M>
  readonly #maxTensorBytes: number
  readonly #maxOpenTensors: number
  readonly #open = new Map<number, OpenTensor<M>>()
  #current: OpenTensor<M> | null = null
  #currentId = 0
  #currentLeft = 0

  constructor(components: { codec: FrameCodec<M>; handler: MessageHandler<M> }, init: MessageReaderInit) {
    this.#handler = components.handler
    this.#maxTensorBytes = init.maxTensorBytes
    this.#maxOpenTensors = init.maxOpenTensors ?? 64
    this.#decoder = new FrameDecoder(components.codec, {
      onHeader: (message, fragment) => this.#onHeader(message, fragment),
      onPayload: piece => this.#onPayload(piece)
    })
  }

  /** Takes a chunk as the network gave it. @throws WireError; the stream is then of no further use */
  push(chunk: Uint8Array): void {
    this.#decoder.push(chunk)
  }

  /** Bytes that are there of a tensor that is on its way into `tensor`. */
  filled(tensor: Uint8Array): number {
    for (const open of this.#open.values()) if (open.into === tensor) return open.filled
    return 0
  }

  /** Reads past the rest of a tensor that is on its way into `tensor`: nobody waits for it any more. */
  forget(tensor: Uint8Array): void {
    for (const open of this.#open.values()) if (open.into === tensor) open.into = null
  }

  #onHeader(message: M | null, fragment: Fragment | null): void {
    if (fragment === null || fragment.total === 0) {
      if (fragment !== null && fragment.length > 0)
        throw new WireError('FRAGMENT_OUT_OF_ORDER', 'bytes beyond a tensor')
      if (message !== null) this.#handler.onMessage(message, 0)
      return
    }
    const tensor = message === null ? this.#open.get(fragment.tensor) : this.#begin(message, fragment)
    if (tensor === undefined || tensor.filled !== fragment.offset || tensor.total !== fragment.total)
      throw new WireError(
        'FRAGMENT_OUT_OF_ORDER',
        `fragment at ${fragment.offset} of tensor ${fragment.tensor}, which is not at that byte`
      )
    if (fragment.offset + fragment.length > fragment.total)
      throw new WireError('FRAGMENT_OUT_OF_ORDER', `a fragment that ends beyond its tensor's ${fragment.total} bytes`)
    if (fragment.length === 0) return
    this.#current = tensor
    this.#currentId = fragment.tensor
    this.#currentLeft = fragment.length
  }

  #begin(message: M, fragment: Fragment): OpenTensor<M> {
    if (fragment.total > this.#maxTensorBytes)
      throw new WireError(
        'TENSOR_TOO_LARGE',
        `a tensor of ${fragment.total} bytes; at most ${this.#maxTensorBytes} are taken here`
      )
    if (this.#open.has(fragment.tensor))
      throw new WireError('FRAGMENT_OUT_OF_ORDER', `tensor ${fragment.tensor} begins twice`)
    if (this.#open.size >= this.#maxOpenTensors)
      throw new WireError('FRAGMENT_OUT_OF_ORDER', `more than ${this.#maxOpenTensors} tensors under way at once`)
    const into = this.#handler.onMessage(message, fragment.total)
    const tensor = { message, into, total: fragment.total, filled: 0 }
    this.#open.set(fragment.tensor, tensor)
    return tensor
  }

  #onPayload(piece: Uint8Array): void {
    const tensor = this.#current
    if (tensor === null) return
    tensor.into?.set(piece, tensor.filled)
    tensor.filled += piece.length
    this.#currentLeft -= piece.length
    if (this.#currentLeft > 0) return
    this.#current = null
    if (tensor.filled < tensor.total) return
    this.#open.delete(this.#currentId)
    if (tensor.into !== null) this.#handler.onTensor(tensor.message, tensor.into)
  }
}
