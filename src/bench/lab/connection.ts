import { connect, type Socket } from 'node:net'
import { type Cargo, Pipe } from './pipe.ts'
import type { Schedule } from './schedule.ts'
import type { Direction, Lane } from './shape.ts'
import type { Tally } from './tally.ts'

/** The two ends of a link: who dials it, and where it leads. */
export type LinkEnd = 'source' | 'target'

export interface Target {
  host: string
  port: number
}

export interface ConnectionInit {
  /** Number of the connection on its link. */
  number: number
  /** Accepted from who dialled the link. */
  source: Socket
  target: Target
  lanes: Record<Direction, Lane>
  tallies: Record<Direction, Tally>
  schedule: Schedule
  /** Called once both ends are gone. */
  onClosed: () => void
}

/** One TCP connection through a link: a socket at each end, a pipe for each direction. */
export class Connection {
  readonly pipes: Record<Direction, Pipe>
  readonly #init: ConnectionInit
  readonly #open = new Set<Socket>()

  constructor(init: ConnectionInit) {
    const { number: connection, source, lanes, tallies, schedule } = init
    this.#init = init
    this.pipes = {
      up: new Pipe({ lane: lanes.up, tally: tallies.up, connection, source, dial: () => this.#dial() }),
      down: new Pipe({ lane: lanes.down, tally: tallies.down, connection, source: undefined })
    }
    schedule.add(this.pipes.up)
    schedule.add(this.pipes.down)
    this.#attach(source, this.pipes.up, this.pipes.down)
    this.pipes.down.destination = source
    this.#accept(this.pipes.up, 'open')
  }

  /** RST to both ends, at once. */
  reset(): void {
    for (const pipe of [this.pipes.up, this.pipes.down]) pipe.severed = true
    for (const socket of this.#open) socket.resetAndDestroy()
  }

  /** The machine at one end is gone, and the other end is never told. */
  vanish(end: LinkEnd): void {
    for (const pipe of [this.pipes.up, this.pipes.down]) pipe.severed = true
    const [gone, left] = end === 'source' ? [this.pipes.up, this.pipes.down] : [this.pipes.down, this.pipes.up]
    gone.source?.resetAndDestroy()
    left.source?.once('end', () => left.source?.destroy())
  }

  #dial(): void {
    const socket = connect({ ...this.#init.target, allowHalfOpen: true, noDelay: true })
    this.pipes.down.source = socket
    this.#attach(socket, this.pipes.down, this.pipes.up)
    socket.once('connect', () => {
      this.pipes.up.destination = socket
      this.#init.schedule.run()
    })
  }

  /** What `socket` receives goes into `outgoing`; `incoming` is written to it. */
  #attach(socket: Socket, outgoing: Pipe, incoming: Pipe): void {
    this.#open.add(socket)
    socket.on('data', (chunk: Buffer) => this.#accept(outgoing, chunk))
    socket.on('end', () => this.#accept(outgoing, 'end'))
    socket.on('drain', () => this.#init.schedule.run())
    socket.on('error', () => this.#accept(outgoing, 'reset'))
    socket.on('close', () => {
      this.#open.delete(socket)
      this.#init.schedule.remove(incoming)
      if (this.#open.size === 0) this.#close()
    })
  }

  #accept(pipe: Pipe, cargo: Cargo): void {
    this.#init.schedule.expect(pipe.accept(cargo, this.#init.schedule.now()))
  }

  #close(): void {
    this.#init.schedule.remove(this.pipes.up)
    this.#init.schedule.remove(this.pipes.down)
    this.#init.onClosed()
  }
}
