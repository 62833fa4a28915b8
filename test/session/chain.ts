import { type Clock, silentLogger } from '../../src/base/index.ts'
import { type Session, SessionTable, type SessionTableInit } from '../../src/session/index.ts'
import { FakeParking, settle } from './fixture.ts'

interface Alarm {
  readonly at: number
  readonly callback: () => void
}

/** Time that passes when nothing is left to do: it goes on to the next alarm. */
class VirtualClock implements Clock {
  #now = 0
  /** In the order of setting. */
  readonly #alarms = new Set<Alarm>()

  now(): number {
    return this.#now
  }

  after(ms: number, callback: () => void): () => void {
    const alarm = { at: this.#now + Math.max(0, ms), callback }
    this.#alarms.add(alarm)
    return () => this.#alarms.delete(alarm)
  }

  sleep(ms: number): Promise<void> {
    return new Promise(wake => {
      this.after(ms, wake)
    })
  }

  /** Rings alarm after alarm, each once all is done that waits for nothing but promises. */
  async play(until: number): Promise<void> {
    for (;;) {
      await settle()
      let next: Alarm | undefined
      for (const alarm of this.#alarms) if (next === undefined || alarm.at < next.at) next = alarm
      if (next === undefined || next.at > until) break
      this.#alarms.delete(next)
      this.#now = next.at
      next.callback()
    }
    this.#now = until
  }
}

/** What things take, in virtual milliseconds. */
export interface ChainInit {
  readonly table: Partial<SessionTableInit>
  /** Rows of each server, in the order of the chain. */
  readonly slots: readonly number[]
  /** One token on one server, which computes one at a time. */
  readonly runMs: number
  /** From one server to the next, and from the last by way of the client to the first. */
  readonly hopMs: number
  /** To save a row or to load one. */
  readonly moveMs: number
}

export interface Server {
  readonly table: SessionTable
  /** Its runs that were asked for so far have ended then. */
  busyUntil: number
}

/** Resolves once it has had a row. */
export async function open(table: SessionTable, id: string): Promise<Session> {
  const session = table.open({ owner: 'ann', id, maxLength: 1, bytes: 1 })
  await session.started
  return session
}

/** The session tables of the servers of one chain, and clients that ask for a token after the other. */
export class Chain {
  readonly clock = new VirtualClock()
  readonly servers: readonly Server[]
  /** How long each token waited for a row on each server, by session. */
  readonly waits = new Map<string, (readonly number[])[]>()
  readonly #init: ChainInit

  constructor(init: ChainInit) {
    this.#init = init
    this.servers = init.slots.map((slots, place) => ({
      table: this.#table(slots, place > 0 || init.table.follows === true),
      busyUntil: 0
    }))
  }

  /** Opens a session on each server, after so many ms there, and generates for as long as time passes. */
  async generate(id: string, openAfterMs: readonly number[]): Promise<void> {
    const tokens: (readonly number[])[] = []
    this.waits.set(id, tokens)
    const sessions = await Promise.all(
      this.servers.map(async ({ table }, place) => {
        await this.clock.sleep(openAfterMs[place] ?? 0)
        return open(table, id)
      })
    )
    for (;;) {
      const waits: number[] = []
      for (const [place, server] of this.servers.entries()) {
        waits.push(await this.run(server, sessions[place]!))
        await this.clock.sleep(this.#init.hopMs)
      }
      tokens.push(waits)
    }
  }

  /** Who has a row, by server. */
  residents(): string[][] {
    return this.servers.map(({ table }) => [...table.sessions].flatMap(({ id, row }) => (row ? [id] : [])).sort())
  }

  /** Returns how long the row was waited for. */
  async run(server: Server, session: Session, runMs = this.#init.runMs): Promise<number> {
    const asked = this.clock.now()
    await server.table.runStarted(session)
    const granted = this.clock.now()
    server.busyUntil = Math.max(granted, server.busyUntil) + runMs
    await this.clock.sleep(server.busyUntil - granted)
    server.table.runEnded(session)
    return granted - asked
  }

  #table(slots: number, follows: boolean): SessionTable {
    const { clock } = this
    const move = (): Promise<void> => clock.sleep(this.#init.moveMs)
    let drawn = 0
    return new SessionTable(
      {
        clock,
        logger: silentLogger,
        rows: {
          release: () => undefined,
          stateBytes: () => 1,
          save: async () => {
            await move()
            return new Uint8Array(1)
          },
          load: move
        },
        random: bytes => Buffer.alloc(bytes).fill(`${drawn++} `),
        parking: new FakeParking()
      },
      { maxSessions: 100, idleLimitMs: 0, ...this.#init.table, slots, follows }
    )
  }
}
