import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { Connection, type LinkEnd, type Target } from './connection.ts'
import type { Schedule } from './schedule.ts'
import { type Direction, Lane, type LinkShape } from './shape.ts'
import { type LaneStats, Tally } from './tally.ts'

export interface ShapedLinkInit {
  target: Target
  up: LinkShape
  down: LinkShape
  seed: number
}

export interface LinkStats {
  connections: { open: number; total: number }
  up: LaneStats
  down: LaneStats
}

/** A listening port on loopback, whose connections lead to the target by way of the shaper. Lives in the relay's process. */
export class ShapedLink {
  readonly #schedule: Schedule
  readonly #server: Server
  readonly #lanes: Record<Direction, Lane>
  readonly #tallies: Record<Direction, Tally> = { up: new Tally(), down: new Tally() }
  readonly #connections = new Set<Connection>()
  #accepted = 0

  constructor(init: ShapedLinkInit, schedule: Schedule) {
    this.#schedule = schedule
    this.#lanes = { up: new Lane(init.up, init.seed), down: new Lane(init.down, init.seed + 1) }
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, source => {
      const connection = new Connection({
        number: this.#accepted++,
        source,
        target: init.target,
        lanes: this.#lanes,
        tallies: this.#tallies,
        schedule,
        onClosed: () => this.#connections.delete(connection)
      })
      this.#connections.add(connection)
    })
  }

  /** @returns the port */
  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  /** What is under way keeps its times. */
  set(shape: Partial<LinkShape>, directions: readonly Direction[]): void {
    for (const direction of directions) Object.assign(this.#lanes[direction].shape, shape)
  }

  blackhole(directions: readonly Direction[]): void {
    for (const direction of ['up', 'down'] as const) this.#lanes[direction].dark = directions.includes(direction)
    this.#schedule.run()
  }

  reset(): void {
    for (const connection of this.#connections) connection.reset()
  }

  halfOpen(gone: LinkEnd): void {
    for (const connection of this.#connections) connection.vanish(gone)
  }

  stats(): LinkStats {
    return {
      connections: { open: this.#connections.size, total: this.#accepted },
      up: this.#stats('up'),
      down: this.#stats('down')
    }
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.reset()
    await closed
  }

  #stats(direction: Direction): LaneStats {
    let queuedBytes = 0
    for (const connection of this.#connections) queuedBytes += connection.pipes[direction].queuedBytes
    return this.#tallies[direction].stats(queuedBytes)
  }
}
