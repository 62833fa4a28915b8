import { noise } from '../rng.ts'

/** `up` is from who dials the link to its target, `down` the way back. */
export type Direction = 'up' | 'down'

/** How one direction of a link delays and limits what passes. */
export interface LinkShape {
  /** Least one-way time in ms. */
  delayMs: number
  /** Further one-way time, uniform in [0, jitterMs); never reorders the bytes of a connection. */
  jitterMs: number
  /** Bits per second, shared by all connections of this direction; null: unlimited. */
  bandwidth: number | null
}

/** An Ethernet frame's worth of TCP payload. */
const segmentBytes = 1448

/** Transmission time of one piece: short beside a link's delay, long enough that a fast link is not all system calls. */
const pieceMs = 0.25

/**
 * One direction of a link: when does what arrives now come out at the far end? Bytes first wait for those ahead of them
 * (token pacing), then travel. Pure: knows no sockets and no clock.
 */
export class Lane {
  shape: LinkShape
  /** While true nothing is delivered; what arrives is held, as TCP would send it again once the hole closes. */
  dark = false
  readonly #seed: number
  #sentAt = Number.NEGATIVE_INFINITY

  constructor(shape: LinkShape, seed: number) {
    this.shape = shape
    this.#seed = seed
  }

  /** The most bytes that leave together, so that a long message comes out as it was paced and not all at its end. */
  get pieceBytes(): number {
    const { bandwidth } = this.shape
    if (bandwidth === null) return Number.POSITIVE_INFINITY
    return Math.max(segmentBytes, Math.floor((bandwidth / 8000) * pieceMs))
  }

  /**
   * @param now ms, monotonic
   * @param connection number of the connection on the link
   * @param offset of the chunk's first byte in the connection's bytes of this direction: with the seed and the
   *   connection, all that its jitter depends on
   */
  dueAt(now: number, bytes: number, connection: number, offset: number): number {
    const { delayMs, jitterMs, bandwidth } = this.shape
    this.#sentAt = Math.max(now, this.#sentAt) + (bandwidth === null ? 0 : (bytes * 8000) / bandwidth)
    return this.#sentAt + delayMs + jitterMs * noise(this.#seed, connection, offset)
  }
}
