import { UsageError } from '../../base/index.ts'
import type { Ask } from '../child.ts'
import type { LinkEnd, Target } from './connection.ts'
import type { RelayCalls } from './relay-calls.ts'
import type { Direction, LinkShape } from './shape.ts'
import type { LinkStats } from './shaped-link.ts'

/** A shape for both directions, and what differs in one of them. */
export interface LinkInit extends Partial<LinkShape> {
  target: Target
  /** @default as both */
  up?: Partial<LinkShape>
  /** @default as both */
  down?: Partial<LinkShape>
  /** Of the jitter. @default 1 */
  seed?: number
}

export type Directions = Direction | 'both'

/** Asks the relay's process. */
type AskRelay = Ask<RelayCalls>

const unshaped: LinkShape = { delayMs: 0, jitterMs: 0, bandwidth: null }

/**
 * A shaped way to one target, entered on `port` of loopback.
 *
 * What it cannot show: each end's own TCP talks to the relay over loopback, so that slow start, loss recovery and the
 * handshake's round trip are hidden, and a connection is accepted before its target is reached. The dial, every byte,
 * FIN and RST take the link's time, in order.
 */
export class Link {
  readonly port: number
  /** Both directions as of now. */
  readonly shape: Readonly<Record<Direction, LinkShape>>
  readonly seed: number
  readonly #ask: AskRelay
  readonly #onClosed: () => Promise<void>

  private constructor(
    port: number,
    shape: Record<Direction, LinkShape>,
    seed: number,
    ask: AskRelay,
    onClosed: () => Promise<void>
  ) {
    this.port = port
    this.shape = shape
    this.seed = seed
    this.#ask = ask
    this.#onClosed = onClosed
  }

  /** @throws {UsageError} when the shape is not one */
  static async open(init: LinkInit, ask: AskRelay, onClosed: () => Promise<void>): Promise<Link> {
    const { target, delayMs, jitterMs, bandwidth, seed = 1 } = init
    const both = { ...unshaped, ...given({ delayMs, jitterMs, bandwidth }) }
    const shape = { up: { ...both, ...init.up }, down: { ...both, ...init.down } }
    checkShape(shape.up)
    checkShape(shape.down)
    const port = await ask('open', { target, ...shape, seed })
    return new Link(port, shape, seed, ask, onClosed)
  }

  /** An unused link of the same shape and seed to another target. */
  sibling(target: Target): Promise<Link> {
    return Link.open({ target, ...this.shape, seed: this.seed }, this.#ask, () => Promise.resolve())
  }

  /** Reshapes what arrives from now on; what is under way keeps its times. */
  async set(shape: Partial<LinkShape>, direction: Directions = 'both'): Promise<void> {
    const directions = eachOf(direction)
    for (const one of directions) checkShape({ ...this.shape[one], ...shape })
    await this.#ask('set', { link: this.port, shape, directions })
    for (const one of directions) Object.assign(this.shape[one], shape)
  }

  /** Nothing is delivered in `direction`, and only there, until `restore`; then everything held is, in order. */
  async blackhole(direction: Directions = 'both'): Promise<void> {
    await this.#ask('blackhole', { link: this.port, directions: eachOf(direction) })
  }

  async restore(): Promise<void> {
    await this.#ask('blackhole', { link: this.port, directions: [] })
  }

  /** RST to both ends of every connection, at once. New connections are welcome. */
  async reset(): Promise<void> {
    await this.#ask('reset', { link: this.port })
  }

  /** Every connection loses its end `gone` (which sees an RST); the other end is never told and hears nothing more. */
  async halfOpen(gone: LinkEnd): Promise<void> {
    await this.#ask('halfOpen', { link: this.port, gone })
  }

  async stats(): Promise<LinkStats> {
    return this.#ask('stats', { link: this.port })
  }

  /** Resets what is left and frees the port. */
  async close(): Promise<void> {
    await this.#ask('close', { link: this.port })
    await this.#onClosed()
  }
}

function eachOf(direction: Directions): readonly Direction[] {
  return direction === 'both' ? ['up', 'down'] : [direction]
}

function given<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never
}

function checkShape({ delayMs, jitterMs, bandwidth }: LinkShape): void {
  for (const [name, value] of Object.entries({ delayMs, jitterMs })) {
    if (!(value >= 0 && value < Number.POSITIVE_INFINITY)) {
      throw new UsageError(`a link's ${name} is ${value}: give a number of milliseconds, 0 or more`)
    }
  }
  if (bandwidth !== null && !(bandwidth > 0 && bandwidth < Number.POSITIVE_INFINITY)) {
    throw new UsageError(`a link's bandwidth is ${bandwidth}: give bits per second above 0, or null for no limit`)
  }
}
