import { ManualClock, silentLogger } from '../../src/base/index.ts'
import type {
  EndReason,
  OpenRequest,
  ParkingLot,
  Rows,
  Session,
  SessionHooks,
  SessionTableInit
} from '../../src/session/index.ts'
import { SessionTable } from '../../src/session/index.ts'

/** Lets everything run that waits for nothing but promises. */
export const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** A manual clock that knows how many alarms are set. */
export class CountingClock extends ManualClock {
  alarms = 0

  override after(ms: number, callback: () => void): () => void {
    let set = true
    this.alarms++
    const unset = (): void => {
      if (set) this.alarms--
      set = false
    }
    const cancel = super.after(ms, () => {
      unset()
      callback()
    })
    return () => {
      unset()
      cancel()
    }
  }
}

/** Rows that hold one word of state each, and refuse what would mix two sessions' states. */
class FakeRows implements Rows {
  readonly state = new Map<number, string>()
  readonly released: string[] = []
  failRelease = false
  /** How long each move of state takes. */
  delay: () => Promise<void> = () => Promise.resolve()

  /** What a run does: the session's state grows. */
  grow(session: Session): string {
    const grown = `${this.state.get(session.row!.slot) ?? ''}${session.id}`
    this.state.set(session.row!.slot, grown)
    return grown
  }

  async release(session: Session): Promise<void> {
    const { slot, generation } = session.row!
    const lease = `${slot}/${generation}`
    // Runs of a session that is parked wait until it is back; of one that ends all are over.
    if (session.state === 'terminating' && session.runs > 0)
      throw new Error(`row ${slot} released with ${session.runs} runs in flight`)
    if (this.released.includes(lease)) throw new Error(`row ${slot} released twice in generation ${generation}`)
    this.released.push(lease)
    if (this.failRelease) throw new Error('the device does not answer')
    this.state.delete(slot)
    await this.delay()
    if (this.state.has(slot)) throw new Error(`row ${slot} was written to while it was emptied`)
  }

  stateBytes(session: Session): number {
    return this.state.get(session.row!.slot)?.length ?? 0
  }

  async save(session: Session): Promise<Uint8Array> {
    const state = Buffer.from(this.state.get(session.row!.slot) ?? '')
    await this.delay()
    return state
  }

  async load(session: Session, state: Uint8Array): Promise<void> {
    const { slot } = session.row!
    if (this.state.has(slot)) throw new Error(`row ${slot} was not empty`)
    await this.delay()
    this.state.set(slot, Buffer.from(state).toString())
  }
}

export class FakeParking implements ParkingLot {
  readonly states = new Map<string, Uint8Array>()
  room: number
  delay: () => Promise<void> = () => Promise.resolve()

  constructor(room = Number.POSITIVE_INFINITY) {
    this.room = room
  }

  fits(bytes: number): boolean {
    return bytes <= this.room
  }

  async put(key: string, state: Uint8Array): Promise<void> {
    await this.delay()
    this.states.set(key, state)
  }

  async take(key: string): Promise<Uint8Array> {
    const state = this.states.get(key)
    this.states.delete(key)
    await this.delay()
    if (state === undefined) throw new Error(`nothing parked at ${key}`)
    return state
  }

  drop(key: string): Promise<void> {
    this.states.delete(key)
    return Promise.resolve()
  }
}

export interface Fixture {
  readonly clock: CountingClock
  readonly rows: FakeRows
  readonly table: SessionTable
  /** What clients would have been told, in order. */
  readonly told: string[]
  /** Calls of the hooks, in order. */
  readonly hooked: string[]
  open(id: string, request?: Partial<OpenRequest>): Session
  /** One run from start to end. */
  run(session: Session): Promise<void>
}

export function setUp(
  init: Partial<SessionTableInit> = {},
  components: { hooks?: SessionHooks; parking?: ParkingLot } = {}
): Fixture {
  const clock = new CountingClock()
  const rows = new FakeRows()
  const told: string[] = []
  const hooked: string[] = []
  let drawn = 0
  const hooks: SessionHooks = {
    onStart(session, options) {
      hooked.push(`start ${session.id}`)
      return components.hooks?.onStart?.(session, options)
    },
    onEvict(session, reason, options) {
      hooked.push(`evict ${session.id} ${reason}`)
      return components.hooks?.onEvict?.(session, reason, options)
    }
  }
  const table = new SessionTable(
    {
      clock,
      logger: silentLogger,
      rows,
      random: bytes => {
        const value = Buffer.alloc(bytes)
        value.writeUInt32BE(++drawn)
        return value
      },
      hooks,
      events: {
        onPromoted: session => told.push(`promoted ${session.id}`),
        onTerminated: (session: Session, reason: EndReason) => told.push(`terminated ${session.id} ${reason}`)
      },
      ...(components.parking === undefined ? {} : { parking: components.parking })
    },
    { slots: 2, ...init }
  )
  return {
    clock,
    rows,
    table,
    told,
    hooked,
    open: (id, request = {}) => table.open({ owner: 'ann', id, maxLength: 8, bytes: 10, ...request }),
    async run(session) {
      await table.runStarted(session)
      rows.grow(session)
      table.runEnded(session)
    }
  }
}

/** A promise and the means to settle it. */
export function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined
  const promise = new Promise<void>(accept => {
    resolve = accept
  })
  return { promise, resolve }
}
