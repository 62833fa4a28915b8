import type { Socket } from 'node:net'
import type { Lane } from './shape.ts'
import type { Tally } from './tally.ts'

/**
 * What travels: bytes, and what ends or begins a connection, all in order.
 * `open` is the dial itself, `end` a FIN, `reset` an RST.
 */
export type Cargo = Buffer | 'open' | 'end' | 'reset'

interface Parcel {
  cargo: Cargo
  arrivedAt: number
  dueAt: number
}

/** A pipe holds this many bytes, as a TCP window would, and then stops reading. Linux's own largest send window. */
const windowBytes = 4 * 1024 * 1024

export interface PipeInit {
  lane: Lane
  tally: Tally
  /** Number of the connection on its link. */
  connection: number
  /** Where bytes come from, told to pause when too much is under way. */
  source: Socket | undefined
  /** Dials the target: what `open` does at the far end. */
  dial?: () => void
}

/** One direction of one connection: a queue of parcels on their way. */
export class Pipe {
  source: Socket | undefined
  /** Where parcels come out; until it is there, they wait. */
  destination: Socket | undefined
  /** The far end has vanished without a word: nothing comes out any more, and nobody is told. */
  severed = false
  readonly #init: PipeInit
  #parcels: Parcel[] = []
  #next = 0
  #offset = 0
  #queuedBytes = 0
  #lastDueAt = 0

  constructor(init: PipeInit) {
    this.#init = init
    this.source = init.source
  }

  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /** Takes what has arrived. @returns when the first piece of it is due */
  accept(cargo: Cargo, now: number): number {
    const first = this.#parcels.length
    if (typeof cargo === 'string') this.#push(cargo, 0, now)
    else this.#acceptBytes(cargo, now)
    return this.#parcels[first]?.dueAt ?? now
  }

  /** Delivers what is due. @returns when to be called again: Infinity where something else than time must happen first */
  deliver(now: number): number {
    const { destination } = this
    destination?.cork()
    const nextAt = this.#deliverDue(now)
    destination?.uncork()
    this.#compact()
    if (this.source?.isPaused() && this.#queuedBytes < windowBytes / 2) this.source.resume()
    return nextAt
  }

  #deliverDue(now: number): number {
    for (;;) {
      const parcel = this.#parcels[this.#next]
      if (parcel === undefined) return Number.POSITIVE_INFINITY
      if (this.severed || this.#init.lane.dark) return Number.POSITIVE_INFINITY
      if (parcel.cargo !== 'open' && (this.destination === undefined || this.destination.writableNeedDrain)) {
        return Number.POSITIVE_INFINITY
      }
      if (parcel.dueAt > now) return parcel.dueAt
      this.#next++
      this.#hand(parcel, now)
    }
  }

  #hand({ cargo, arrivedAt, dueAt }: Parcel, now: number): void {
    const { tally, dial } = this.#init
    if (cargo === 'open') dial?.()
    else if (cargo === 'end') this.destination?.end()
    else if (cargo === 'reset') this.destination?.resetAndDestroy()
    else {
      this.#queuedBytes -= cargo.length
      tally.delivered(cargo.length, arrivedAt, dueAt, now)
      if (this.destination?.writable) this.destination.write(cargo)
    }
  }

  #acceptBytes(chunk: Buffer, now: number): void {
    const { lane, tally } = this.#init
    tally.bytesIn += chunk.length
    this.#queuedBytes += chunk.length
    const piece = lane.pieceBytes
    const start = this.#offset
    for (let at = 0; at < chunk.length; at += piece) {
      this.#push(chunk.subarray(at, Math.min(chunk.length, at + piece)), start, now)
    }
    this.#offset += chunk.length
    if (this.#queuedBytes >= windowBytes) this.source?.pause()
  }

  #push(cargo: Cargo, offset: number, now: number): void {
    const { lane, connection } = this.#init
    const bytes = typeof cargo === 'string' ? 0 : cargo.length
    const dueAt = Math.max(this.#lastDueAt, lane.dueAt(now, bytes, connection, offset))
    this.#lastDueAt = dueAt
    this.#parcels.push({ cargo, arrivedAt: now, dueAt })
  }

  /** Lets go of what was delivered; seldom enough that each parcel is moved at most about once. */
  #compact(): void {
    const left = this.#parcels.length - this.#next
    if (left > 0 && this.#next < Math.max(64, left)) return
    this.#parcels = this.#parcels.slice(this.#next)
    this.#next = 0
  }
}
