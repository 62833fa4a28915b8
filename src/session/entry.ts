import { SessionEndedError } from './errors.ts'
import type { EndReason, OpenRequest, Session, SessionState } from './session.ts'
import type { Row } from './slots.ts'

const transitions: Readonly<Record<SessionState, readonly SessionState[]>> = {
  queued: ['active', 'terminating'],
  active: ['parked', 'terminating'],
  parked: ['active', 'terminating'],
  terminating: ['gone'],
  gone: []
}

/** backlog: DEADLINE while queued; idle: IDLE; grace: DISCONNECT after the connection was lost. */
type Alarm = 'backlog' | 'idle' | 'grace'

/** Place in the queue for rows: higher priority first, then lower order. */
export interface Rank {
  readonly priority: number
  readonly order: number
}

/** A session as the table sees it: every field that may change is changed by the table only. */
export class Entry implements Session {
  readonly owner: string
  readonly id: string
  readonly maxLength: number
  readonly bytes: number
  readonly priority: number
  readonly openedAt: number
  readonly started: Promise<void>
  incarnation: Uint8Array | undefined
  row: Row | undefined
  rank: Rank
  connection = 1
  grantedAt: number | undefined
  /** Since when the session has its row, with its state in it: its turn began then. */
  residentSince = 0
  /** The end of its last run, or when it got its row if that was later. */
  lastUse = 0
  /** Parking failed: not tried again before this. */
  keptUntil = 0
  lastActivity: number
  runs = 0
  startDone = false
  /** The row is on its way to the parking lot or back; never rejects. */
  moving: Promise<void> | undefined
  /** Bytes of state in the parking lot; undefined when there are none. */
  parkedBytes: number | undefined
  /** Settles, without error, when the session is gone. */
  readonly over: Promise<void>
  reason: EndReason | undefined
  readonly #controller = new AbortController()
  #state: SessionState = 'queued'
  #resolveStarted: () => void = () => undefined
  #resolveOver: () => void = () => undefined
  #whenQuiet: (() => void)[] = []
  #whenMoved: (() => void)[] = []
  readonly #alarms = new Map<Alarm, () => void>()

  constructor(request: OpenRequest, rank: Rank, now: number) {
    this.owner = request.owner
    this.id = request.id
    this.maxLength = request.maxLength
    this.bytes = request.bytes
    this.priority = request.priority ?? 0
    this.rank = rank
    this.openedAt = now
    this.lastActivity = now
    this.started = new Promise(resolve => {
      this.#resolveStarted = resolve
    })
    this.over = new Promise(resolve => {
      this.#resolveOver = resolve
    })
  }

  get state(): SessionState {
    return this.#state
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  get key(): string {
    return sessionKey(this.owner, this.id)
  }

  get alive(): boolean {
    return this.#state !== 'terminating' && this.#state !== 'gone'
  }

  get pinned(): boolean {
    return !this.alive || !this.startDone || this.runs > 0 || this.moving !== undefined
  }

  move(to: SessionState): void {
    if (!transitions[this.#state].includes(to)) {
      throw new TypeError(`session ${this.id} cannot go from ${this.#state} to ${to}`)
    }
    this.#state = to
    for (const wake of this.#whenMoved.splice(0)) wake()
    if (to === 'gone') this.#resolveOver()
  }

  /** Resolves at the next transition. */
  moved(): Promise<void> {
    return new Promise(resolve => this.#whenMoved.push(resolve))
  }

  markStarted(): void {
    this.startDone = true
    this.#resolveStarted()
  }

  /** The error that everything still waiting for this session gets. */
  endedError(): SessionEndedError {
    return new SessionEndedError(this.id, this.reason ?? 'END')
  }

  abort(): void {
    this.#controller.abort(this.endedError())
  }

  endRun(): void {
    this.runs = Math.max(0, this.runs - 1)
    if (this.runs > 0) return
    for (const wake of this.#whenQuiet.splice(0)) wake()
  }

  /** Resolves once no run is in flight. */
  async quiet(): Promise<void> {
    if (this.runs > 0) await new Promise<void>(resolve => this.#whenQuiet.push(resolve))
  }

  /** Keeps one alarm a name; the one before it is cancelled. */
  arm(name: Alarm, cancel: () => void): void {
    this.disarm(name)
    this.#alarms.set(name, cancel)
  }

  armed(name: Alarm): boolean {
    return this.#alarms.has(name)
  }

  disarm(name: Alarm): void {
    this.#alarms.get(name)?.()
    this.#alarms.delete(name)
  }

  disarmAll(): void {
    for (const cancel of this.#alarms.values()) cancel()
    this.#alarms.clear()
  }
}

export function sessionKey(owner: string, id: string): string {
  return `${owner}/${id}`
}
