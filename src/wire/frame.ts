import { MAX_FRAGMENT_BYTES, MAX_HEADER_BYTES } from './constants.ts'
import { WireError } from './errors.ts'
import type { Fragment } from './message-parts.ts'
import type { FrameCodec } from './schema.ts'

/** The bytes of `uvarint(header.length), header`: what goes before a payload. */
export function prefixed(header: Uint8Array): Uint8Array {
  const length = header.length
  if (length > MAX_HEADER_BYTES)
    throw new WireError('FRAME_TOO_LARGE', `a header of ${length} bytes; at most ${MAX_HEADER_BYTES} are sent`)
  const prefix = length < 0x80 ? 1 : length < 0x4000 ? 2 : 3
  const frame = new Uint8Array(prefix + length)
  let rest = length
  for (let i = 0; i < prefix; i++) {
    frame[i] = (rest & 0x7f) | (i < prefix - 1 ? 0x80 : 0)
    rest >>>= 7
  }
  frame.set(header, prefix)
  return frame
}

export interface FrameHandler<M> {
  /** A frame's header, before its payload. */
  onHeader(message: M | null, fragment: Fragment | null): void
  /** A piece of the payload of the frame whose header came last; a view, valid during the call. */
  onPayload(piece: Uint8Array): void
}

/**
 * Cuts a stream's chunks into frames. Sizes are checked before anything is kept: at most one header's bytes are
 * buffered here, payload passes through.
 */
export class FrameDecoder<M> {
  readonly #codec: FrameCodec<M>
  readonly #handler: FrameHandler<M>
  #varint = 0
  #varintBytes = 0
  #header: Uint8Array | null = null
  #headerFilled = 0
  #payloadLeft = 0

  constructor(codec: FrameCodec<M>, handler: FrameHandler<M>) {
    this.#codec = codec
    this.#handler = handler
  }

  /** @throws WireError; the stream is then of no further use */
  push(chunk: Uint8Array): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#payloadLeft > 0) {
        const piece = chunk.subarray(at, at + Math.min(this.#payloadLeft, chunk.length - at))
        this.#payloadLeft -= piece.length
        at += piece.length
        this.#handler.onPayload(piece)
      } else if (this.#header === null) {
        at = this.#readVarint(chunk, at)
      } else {
        const piece = chunk.subarray(at, at + Math.min(this.#header.length - this.#headerFilled, chunk.length - at))
        this.#header.set(piece, this.#headerFilled)
        this.#headerFilled += piece.length
        at += piece.length
        if (this.#headerFilled === this.#header.length) this.#finishHeader(this.#header)
      }
    }
  }

  #readVarint(chunk: Uint8Array, start: number): number {
    for (let at = start; at < chunk.length; at++) {
      const byte = chunk[at] ?? 0
      this.#varint |= (byte & 0x7f) << (7 * this.#varintBytes)
      this.#varintBytes++
      if (byte >= 0x80) {
        if (this.#varintBytes === 3) throw new WireError('FRAME_TOO_LARGE', 'a frame header longer than a frame may be')
        continue
      }
      const length = this.#varint
      if (length > MAX_HEADER_BYTES)
        throw new WireError(
          'FRAME_TOO_LARGE',
          `a frame header of ${length} bytes; at most ${MAX_HEADER_BYTES} are read`
        )
      this.#varint = 0
      this.#varintBytes = 0
      // A copy of its own: decoded byte fields are views of it, and must not pin the network's chunk.
      this.#header = new Uint8Array(length)
      this.#headerFilled = 0
      if (length === 0) this.#finishHeader(this.#header)
      return at + 1
    }
    return chunk.length
  }

  #finishHeader(header: Uint8Array): void {
    this.#header = null
    const { message, fragment } = this.#codec.decode(header)
    if (message === null && fragment === null) throw new WireError('FRAME_MALFORMED', 'a frame of no known message')
    const length = fragment?.length ?? 0
    if (length > MAX_FRAGMENT_BYTES)
      throw new WireError('FRAME_TOO_LARGE', `a fragment of ${length} bytes; at most ${MAX_FRAGMENT_BYTES} are read`)
    this.#payloadLeft = length
    this.#handler.onHeader(message, fragment)
  }
}
