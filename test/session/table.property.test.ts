import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EndReason, Row, Session } from '../../src/session/index.ts'
import { deferred, FakeParking, type Fixture, settle, setUp } from './fixture.ts'

/** What may happen to a server, in any order. `who` picks a session that was opened; `ms` is on the manual clock. */
type Event =
  | { kind: 'open'; id: number; priority: number; replace: boolean }
  | { kind: 'runStarted' | 'runEnded' | 'touch' | 'connectionLost' | 'staleLoss' | 'resume'; who: number }
  | { kind: 'end'; who: number; reason: EndReason }
  | { kind: 'advance'; ms: number }
  | { kind: 'settle' | 'hookDone' | 'drain' | 'parkingFull' | 'parkingFree' }

const who = fc.nat(11)
const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('open'), id: fc.nat(5), priority: fc.nat(2), replace: fc.boolean() })
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('runStarted'), who }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('runEnded'), who }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom('touch', 'connectionLost', 'staleLoss', 'resume'), who })
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('end'), who, reason: fc.constantFrom('END', 'CANCEL', 'ERROR') })
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('advance'), ms: fc.constantFrom(1, 20, 50, 200) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constantFrom('settle', 'hookDone') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('parkingFull', 'parkingFree') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('drain') }) }
)

/** The hooks' ways to be: at once, late, never, with an error. */
type Manner = 'sync' | 'late' | 'hang' | 'throw'
const manner = fc.constantFrom<Manner>('sync', 'late', 'hang', 'throw')

const init = {
  slots: 2,
  maxSessions: 4,
  idleLimitMs: 300,
  graceMs: 100,
  hookDeadlineMs: 60,
  residenceMs: 40,
  backlog: { limit: 3, deadlineMs: 150 }
}

class Server {
  readonly parking = new FakeParking()
  readonly opened: Session[] = []
  readonly started = new Map<Session, number>()
  readonly evicted = new Map<Session, number>()
  readonly #pendingHooks: (() => void)[] = []
  /** The row that each run in flight has, by session; and the state that each session's row must hold. */
  readonly #running = new Map<Session, Row[]>()
  readonly #expected = new Map<Session, string>()
  readonly #holders = new Map<string, Session>()
  readonly failures: string[] = []
  readonly fixture: Fixture

  constructor(manners: readonly Manner[]) {
    this.parking.delay = settle
    let calls = 0
    const hook = (): void | Promise<void> => {
      const how = manners[calls++ % manners.length]
      if (how === 'throw') throw new Error('a hook fails')
      if (how === 'hang') return new Promise(() => undefined)
      if (how === 'sync') return
      const late = deferred()
      this.#pendingHooks.push(late.resolve)
      return late.promise
    }
    this.fixture = setUp(init, {
      parking: this.parking,
      hooks: {
        onStart: session => {
          count(this.started, session)
          this.#check(this.fixture.rows.state.get(session.row!.slot) === undefined, 'a new session got a row in use')
          return hook()
        },
        onEvict: session => {
          count(this.evicted, session)
          this.#check(this.started.get(session) === 1, 'onEvict without onStart')
          this.#check(session.row === undefined || session.state === 'terminating', 'onEvict of a live session')
          return hook()
        }
      }
    })
    this.fixture.rows.delay = settle
  }

  async apply(step: Event): Promise<void> {
    const { table, clock } = this.fixture
    const session = 'who' in step ? this.opened[step.who % Math.max(1, this.opened.length)] : undefined
    switch (step.kind) {
      case 'open':
        return this.#open(step)
      case 'runStarted':
        if (session !== undefined) void this.#run(session)
        return
      case 'runEnded':
        if (session !== undefined) this.#endRun(session)
        return
      case 'touch':
        if (session !== undefined) table.touch(session)
        return
      case 'connectionLost':
        if (session !== undefined) table.connectionLost(session, session.connection)
        return
      case 'staleLoss':
        if (session !== undefined) table.connectionLost(session, session.connection - 1)
        return
      case 'resume':
        if (session?.incarnation !== undefined) quietly(() => table.resume('ann', session.id, session.incarnation!))
        return
      case 'end':
        if (session !== undefined) void table.end(session, step.reason)
        return
      case 'advance':
        return clock.advance(step.ms)
      case 'settle':
        return settle()
      case 'hookDone':
        return this.#pendingHooks.shift()?.()
      case 'drain':
        void table.drain({ timeoutMs: 500 })
        return
      case 'parkingFull':
      case 'parkingFree':
        this.parking.room = step.kind === 'parkingFull' ? -1 : Number.POSITIVE_INFINITY
    }
  }

  /** True at every moment. */
  checkAlways(): void {
    const rows = [...this.fixture.table.sessions].flatMap(session => session.row ?? [])
    this.#check(new Set(rows.map(row => row.slot)).size === rows.length, 'two sessions share a row')
    for (const session of this.fixture.table.sessions) {
      const { row } = session
      if (row === undefined) continue
      const lease = `${row.slot}/${row.generation}`
      const holder = this.#holders.get(lease) ?? session
      this.#holders.set(lease, holder)
      this.#check(holder === session, 'one generation was lent to two sessions')
    }
    expect(this.failures).toEqual([])
  }

  /** Everyone goes home: runs end, hooks answer or run into their deadlines. */
  async shutDown(): Promise<void> {
    const { table, clock } = this.fixture
    const closed = table.close()
    for (let i = 0; i < 8; i++) {
      for (const session of this.#running.keys()) while (this.#endRun(session)) continue
      for (const done of this.#pendingHooks.splice(0)) done()
      clock.advance(init.hookDeadlineMs)
      await settle()
    }
    await closed
  }

  #open(step: Extract<Event, { kind: 'open' }>): void {
    const { id, priority, replace } = step
    quietly(() => this.opened.push(this.fixture.open(`${id}`, { priority, replace })))
  }

  async #run(session: Session): Promise<void> {
    try {
      await this.fixture.table.runStarted(session)
    } catch {
      this.#check(session.state === 'terminating' || session.state === 'gone', 'a live session was refused a run')
      return
    }
    const { rows } = this.fixture
    const before = session.row === undefined ? 'no row' : (rows.state.get(session.row.slot) ?? '')
    this.#check(before === (this.#expected.get(session) ?? ''), `state of another session, or none: ${before}`)
    this.#expected.set(session, rows.grow(session))
    const running = this.#running.get(session) ?? []
    this.#running.set(session, [...running, session.row!])
  }

  /** False where none is in flight. */
  #endRun(session: Session): boolean {
    const [row, ...others] = this.#running.get(session) ?? []
    if (row === undefined) return false
    this.#check(session.row === row, 'a row was taken away during a run')
    this.#running.set(session, others)
    this.fixture.table.runEnded(session)
    return true
  }

  #check(holds: boolean, otherwise: string): void {
    if (!holds) this.failures.push(otherwise)
  }
}

function count(counts: Map<Session, number>, session: Session): void {
  counts.set(session, (counts.get(session) ?? 0) + 1)
}

/** Refusals are part of the game; mistakes are not. */
function quietly(attempt: () => void): void {
  try {
    attempt()
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown)) throw thrown
  }
}

describe('sessions, whatever happens in whatever order', () => {
  it('a row has one owner and no memory, each hook runs once, and nothing is left behind', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(event, { maxLength: 80, size: 'max' }),
        fc.array(manner, { minLength: 1, maxLength: 5 }),
        async (events, manners) => {
          const server = new Server(manners)
          for (const step of events) {
            await server.apply(step)
            server.checkAlways()
          }
          await server.shutDown()
          server.checkAlways()
          const { table, clock, rows, told } = server.fixture
          for (const session of server.opened) {
            expect(session.state).toBe('gone')
            expect(server.started.get(session) ?? 0).toBe(session.grantedAt === undefined ? 0 : 1)
            expect(server.evicted.get(session)).toBe(server.started.get(session))
          }
          expect(told.filter(line => line.startsWith('terminated'))).toHaveLength(server.opened.length)
          const { freeSlots, reservedBytes, lostRows, sessions, ended } = table.statistics()
          expect({ freeSlots, reservedBytes, lostRows, sessions }).toEqual({
            freeSlots: init.slots,
            reservedBytes: 0,
            lostRows: 0,
            sessions: { queued: 0, active: 0, parked: 0, terminating: 0 }
          })
          expect(Object.values(ended).reduce((sum, n) => sum + n)).toBe(server.opened.length)
          expect([rows.state.size, server.parking.states.size, clock.alarms]).toEqual([0, 0, 0])
        }
      ),
      { numRuns: 150 }
    )
  })
})
