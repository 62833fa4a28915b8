import type { Clock, Logger } from '../base/index.ts'
import type { Entry } from './entry.ts'
import { chooseVictim } from './pressure.ts'
import type { ParkingLot, Rows } from './rows.ts'
import { SlotPool } from './slots.ts'
import type { Counters } from './statistics.ts'
import { WaitingList } from './waiting.ts'

export interface ResidencyComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly rows: Rows
  readonly parking?: ParkingLot | undefined
  readonly counters: Counters
  /** The session has its row, with its state in it. */
  readonly resident: (entry: Entry) => void
  /** The session's state waits in the parking lot. */
  readonly parked: (entry: Entry) => void
  readonly evict: (entry: Entry, reason: 'PRESSURE' | 'ERROR') => void
}

export interface ResidencyInit {
  readonly slots: number
  readonly maxSessions: number
  readonly memoryBytes: number
  readonly residenceMs: number
}

/** Decides which sessions have a row of the KV slab, and carries state to the parking lot and back. */
export class Residency {
  readonly waiting = new WaitingList()
  reservedBytes = 0
  readonly #components: ResidencyComponents
  readonly #init: ResidencyInit
  readonly #slots: SlotPool
  /** Granted and not gone: with a row, or parked. */
  readonly #leased = new Set<Entry>()
  #retry: (() => void) | undefined

  constructor(components: ResidencyComponents, init: ResidencyInit) {
    this.#components = components
    this.#init = init
    this.#slots = new SlotPool(init.slots)
  }

  get freeSlots(): number {
    return this.#slots.free
  }

  /** A new session of so many bytes would have its row at once. */
  hasRoom(bytes: number): boolean {
    return this.waiting.length === 0 && this.#slots.free > 0 && this.#leaseFree && this.#memoryFree(bytes)
  }

  /** `resident` is called when the entry has its row: perhaps before this returns. */
  request(entry: Entry): void {
    if (!this.waiting.has(entry)) this.waiting.add(entry)
    this.admit()
  }

  /** Hands free rows to those who wait, in order; if some still wait, makes room. */
  admit(): void {
    for (let entry = this.waiting.first; entry !== undefined; entry = this.waiting.first) {
      if (!this.#grant(entry)) {
        this.#makeRoom(entry)
        return
      }
    }
    this.#retry?.()
    this.#retry = undefined
  }

  /** Frees all that the entry holds. The caller has seen to it that no run is in flight. */
  async giveBack(entry: Entry): Promise<void> {
    await this.#clear(entry)
    if (entry.parkedBytes !== undefined) await this.#drop(entry)
    this.#leased.delete(entry)
  }

  #grant(entry: Entry): boolean {
    const first = entry.state === 'queued'
    if ((first && !this.#leaseFree) || !this.#memoryFree(entry.bytes)) return false
    const row = this.#slots.take()
    if (row === undefined) return false
    this.waiting.remove(entry)
    this.reservedBytes += entry.bytes
    this.#leased.add(entry)
    entry.row = row
    entry.residentSince = this.#components.clock.now()
    if (first) this.#components.resident(entry)
    else this.#carry(entry, () => this.#bringBack(entry))
    return true
  }

  #makeRoom(waiter: Entry): void {
    if (this.waiting.length <= this.#rowsComing()) return
    const { rows, parking, clock } = this.#components
    const now = clock.now()
    const needsLease = waiter.state === 'queued' && !this.#leaseFree
    const residents = [...this.#leased].filter(entry => entry.row !== undefined)
    const isLesser = (entry: Entry): boolean => entry.priority < waiter.priority
    if (parking !== undefined && !needsLease) {
      const since = now - this.#init.residenceMs
      const takesTurns = (entry: Entry): boolean => entry.priority === waiter.priority && entry.residentSince <= since
      const victim = chooseVictim(residents.filter(e => e.keptUntil <= now && (isLesser(e) || takesTurns(e))))
      if (victim !== undefined && parking.fits(rows.stateBytes(victim))) {
        this.#carry(victim, () => this.#takeAway(victim))
        return
      }
      this.#retryLater()
    }
    // What cannot be parked is lost, and only for a session that is more important.
    const victim = chooseVictim((needsLease ? [...this.#leased] : residents).filter(isLesser))
    if (victim !== undefined) this.#components.evict(victim, 'PRESSURE')
  }

  #retryLater(): void {
    this.#retry ??= this.#components.clock.after(this.#init.residenceMs, () => {
      this.#retry = undefined
      this.admit()
    })
  }

  /** Deferred, so that `moving` is set before anything of the move can fail. */
  #carry(entry: Entry, move: () => Promise<void>): void {
    entry.moving = Promise.resolve()
      .then(move)
      .finally(() => {
        entry.moving = undefined
        this.admit()
      })
  }

  async #takeAway(entry: Entry): Promise<void> {
    const { rows, parking, counters, logger, clock } = this.#components
    try {
      const state = await rows.save(entry)
      if (parking === undefined || entry.runs > 0 || !entry.alive) return
      await parking.put(parkingKey(entry), state)
      entry.parkedBytes = state.byteLength
      if (entry.runs > 0 || !entry.alive) {
        await this.#drop(entry)
        return
      }
      await this.#clear(entry)
      counters.parkings++
      if (entry.alive) this.#components.parked(entry)
    } catch (thrown) {
      logger.warn({ session: entry.id, error: thrown }, 'a session could not be parked')
      entry.keptUntil = clock.now() + this.#init.residenceMs
    }
  }

  async #bringBack(entry: Entry): Promise<void> {
    const { rows, parking, counters, logger } = this.#components
    try {
      if (parking === undefined || !entry.alive) return
      const state = await parking.take(parkingKey(entry))
      entry.parkedBytes = undefined
      await rows.load(entry, state)
      counters.unparkings++
      if (entry.alive) this.#components.resident(entry)
    } catch (thrown) {
      logger.error({ session: entry.id, error: thrown }, 'a parked session could not be brought back')
      this.#components.evict(entry, 'ERROR')
    }
  }

  /** Empties the row, then frees its slot; a row that cannot be emptied is lost. */
  async #clear(entry: Entry): Promise<void> {
    const row = entry.row
    if (row === undefined) return
    try {
      await this.#components.rows.release(entry)
      this.#slots.release(row)
    } catch (thrown) {
      this.#components.counters.lostRows++
      this.#components.logger.error(
        { slot: row.slot, error: thrown },
        'a row could not be emptied and is not lent again'
      )
    }
    entry.row = undefined
    this.reservedBytes -= entry.bytes
  }

  async #drop(entry: Entry): Promise<void> {
    entry.parkedBytes = undefined
    try {
      await this.#components.parking?.drop(parkingKey(entry))
    } catch (thrown) {
      this.#components.logger.warn(
        { session: entry.id, error: thrown },
        'the state of a parked session was left behind'
      )
    }
  }

  get #leaseFree(): boolean {
    return this.#leased.size < this.#init.maxSessions
  }

  #memoryFree(bytes: number): boolean {
    return this.reservedBytes + bytes <= this.#init.memoryBytes
  }

  /** Rows that will be free soon: of sessions that terminate or are on their way to the parking lot. */
  #rowsComing(): number {
    let coming = 0
    for (const entry of this.#leased) {
      if (entry.row === undefined) continue
      if (!entry.alive || (entry.state === 'active' && entry.moving !== undefined)) coming++
    }
    return coming
  }
}

/** The incarnation: unguessable, never used twice, and safe as a file's name. */
function parkingKey(entry: Entry): string {
  return Buffer.from(entry.incarnation ?? []).toString('hex')
}
