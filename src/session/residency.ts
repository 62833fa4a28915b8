import type { Clock, Logger } from '../base/index.ts'
import type { Entry } from './entry.ts'
import { chooseVictim } from './pressure.ts'
import type { ParkingLot, Rows } from './rows.ts'
import { SlotPool } from './slots.ts'
import type { Counters } from './statistics.ts'
import { Turns } from './turns.ts'
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
  readonly follows: boolean
}

/** Decides which sessions have a row of the KV slab, and carries state to the parking lot and back. */
export class Residency {
  readonly waiting = new WaitingList()
  reservedBytes = 0
  readonly #components: ResidencyComponents
  readonly #init: ResidencyInit
  readonly #slots: SlotPool
  readonly #turns: Turns
  /** Granted and not gone: with a row, or parked. */
  readonly #leased = new Set<Entry>()
  #cancelWake: () => void = () => undefined

  constructor(components: ResidencyComponents, init: ResidencyInit) {
    this.#components = components
    this.#init = init
    this.#slots = new SlotPool(init.slots)
    this.#turns = new Turns({ longestMs: init.residenceMs, follows: init.follows })
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
    if (!this.waiting.has(entry)) {
      // Who had a row is behind all that wait now, however long ago it was opened: turns go round.
      if (entry.state === 'parked') entry.rank = this.waiting.behind(entry.priority)
      this.waiting.add(entry)
    }
    this.admit()
  }

  /** Hands free rows to those who wait, in order; for those who still wait, makes room. */
  admit(): void {
    this.#cancelWake()
    // One that waits for another to end keeps nobody waiting who has a place.
    const hasPlace = (entry: Entry): boolean => entry.state !== 'queued' || this.#leaseFree
    const next = (place: number): Entry | undefined => this.waiting.at(place, hasPlace)
    for (let first = next(0); first !== undefined && this.#grant(first); first = next(0)) continue
    let waiter = next(this.#rowsComing())
    while (waiter !== undefined && this.#makeRoom(waiter)) waiter = next(this.#rowsComing())
    const newcomer = this.waiting.at(0, entry => !hasPlace(entry))
    if (newcomer !== undefined) this.#makePlace(newcomer)
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
    if (first) this.#settle(entry)
    else this.#carry(entry, () => this.#bringBack(entry))
    return true
  }

  /** Its turn begins. */
  #settle(entry: Entry): void {
    entry.residentSince = this.#components.clock.now()
    entry.lastUse = entry.residentSince
    this.#components.resident(entry)
  }

  /** True where a row is on its way to the parking lot, so that another may be, too. */
  #makeRoom(waiter: Entry): boolean {
    const { rows, parking, clock } = this.#components
    const now = clock.now()
    const residents = [...this.#leased].filter(entry => entry.row !== undefined)
    if (parking !== undefined) {
      const yieldsAt = this.#yieldsTo(waiter, now)
      const victim = chooseVictim(residents.filter(entry => yieldsAt(entry) <= now))
      if (victim !== undefined && parking.fits(rows.stateBytes(victim))) {
        this.#carry(victim, () => this.#takeAway(victim))
        return true
      }
      // The end of a run in flight, or of a move, asks again by itself.
      const next = Math.min(...residents.filter(entry => !entry.pinned).map(yieldsAt))
      this.#wakeAt(victim === undefined ? next : now + this.#init.residenceMs)
    }
    // What cannot be parked is lost, and only for a session that is more important.
    this.#evictLesser(residents, waiter)
    return false
  }

  /** One of lower priority ends for the newcomer; none where one is ending already. */
  #makePlace(newcomer: Entry): void {
    const leased = [...this.#leased]
    if (leased.every(entry => entry.alive)) this.#evictLesser(leased, newcomer)
  }

  #evictLesser(entries: readonly Entry[], than: Entry): void {
    const victim = chooseVictim(entries.filter(entry => entry.priority < than.priority))
    if (victim !== undefined) this.#components.evict(victim, 'PRESSURE')
  }

  /** From when on a session with no run in flight may be parked for the waiter, ms of the clock. */
  #yieldsTo(waiter: Entry, now: number): (entry: Entry) => number {
    const turnMs = this.#turns.lengthMs
    return ({ priority, keptUntil, residentSince }) => {
      if (priority > waiter.priority) return Number.POSITIVE_INFINITY
      return Math.max(keptUntil, priority < waiter.priority ? now : residentSince + turnMs)
    }
  }

  #wakeAt(at: number): void {
    if (at === Number.POSITIVE_INFINITY) return
    const { clock } = this.#components
    this.#cancelWake()
    this.#cancelWake = clock.after(at - clock.now(), () => this.admit())
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
    const began = clock.now()
    try {
      const state = await rows.save(entry)
      if (parking === undefined || !entry.alive) return
      await parking.put(parkingKey(entry), state)
      entry.parkedBytes = state.byteLength
      if (!entry.alive) {
        await this.#drop(entry)
        return
      }
      await this.#clear(entry)
      counters.parkings++
      this.#turns.moved(clock.now() - began)
      if (entry.alive) this.#components.parked(entry)
    } catch (thrown) {
      logger.warn({ session: entry.id, error: thrown }, 'a session could not be parked')
      entry.keptUntil = clock.now() + this.#init.residenceMs
    }
  }

  async #bringBack(entry: Entry): Promise<void> {
    const { rows, parking, counters, logger, clock } = this.#components
    const began = clock.now()
    try {
      if (parking === undefined || !entry.alive) return
      const state = await parking.take(parkingKey(entry))
      entry.parkedBytes = undefined
      await rows.load(entry, state)
      counters.unparkings++
      this.#turns.moved(clock.now() - began)
      if (entry.alive) this.#settle(entry)
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
