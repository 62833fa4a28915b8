import { Admission } from './admission.ts'
import { Alarms } from './alarms.ts'
import { Entry, type Rank, sessionKey } from './entry.ts'
import { Epitaphs } from './epitaphs.ts'
import { SessionExistsError } from './errors.ts'
import { HookRunner } from './hooks.ts'
import { type SessionTableComponents, type SessionTableInit, withDefaults } from './init.ts'
import { Residency } from './residency.ts'
import type { EndReason, OpenRequest, Session } from './session.ts'
import { addDuration, Counters, countSessions, type SessionStatistics } from './statistics.ts'

const incarnationBytes = 16

/**
 * All sessions of a server, and the one owner of every transition between their states.
 *
 *     open --> queued --> active <--> parked
 *                 \          \           \
 *                  '----------'-----------'--> terminating --> gone
 *
 * A lease starts when a row is granted. The owner's frames (`touch`) and the ends of the runs that it asked for renew
 * it; while a run is in flight it does not run out. A row is lent again only after the last run on it has ended,
 * `onEvict` is done or past its deadline, and the row is empty.
 */
export class SessionTable {
  readonly #components: SessionTableComponents
  readonly #hooks: HookRunner
  readonly #residency: Residency
  readonly #admission: Admission
  readonly #alarms: Alarms
  readonly #counters = new Counters()
  /** Alive sessions by key: one that terminates has made room for its successor. */
  readonly #alive = new Map<string, Entry>()
  /** All that are not gone. */
  readonly #entries = new Set<Entry>()
  readonly #epitaphs = new Epitaphs()
  #whenEmpty: (() => void)[] = []

  constructor(components: SessionTableComponents, init: SessionTableInit) {
    this.#components = components
    const whole = withDefaults(init)
    const { clock, logger, hooks = {} } = components
    this.#hooks = new HookRunner({ clock, logger, hooks }, { deadlineMs: whole.hookDeadlineMs })
    const effects = {
      resident: (entry: Entry) => this.#resident(entry),
      parked: (entry: Entry) => entry.move('parked'),
      evict: (entry: Entry, reason: EndReason) => void this.end(entry, reason)
    }
    const counters = this.#counters
    this.#residency = new Residency({ ...components, ...effects, counters }, whole)
    this.#admission = new Admission({ residency: this.#residency, counters }, whole)
    this.#alarms = new Alarms({ clock, end: (entry, reason) => void this.end(entry, reason) }, whole)
  }

  /**
   * START. The session is active, or queued: then `place` says where, and `onPromoted` or `onTerminated` follows. With
   * `replace` the row of the session that it supersedes is meant for it: it waits, but is not refused for want of room.
   * @throws SessionExistsError, DrainingError, BusyError, SessionTooLargeError
   */
  open(request: OpenRequest): Session {
    const key = sessionKey(request.owner, request.id)
    const old = this.#alive.get(key)
    if (old !== undefined && request.replace !== true) throw new SessionExistsError(request.id)
    const inherited = this.#inheritedRank(old)
    this.#admission.check(request, inherited !== undefined)
    if (old !== undefined) void this.end(old, 'SUPERSEDED')
    const { clock } = this.#components
    const rank = inherited ?? this.#residency.waiting.behind(request.priority ?? 0)
    const entry = new Entry(request, rank, clock.now())
    this.#epitaphs.forget(key)
    this.#alive.set(key, entry)
    this.#entries.add(entry)
    this.#residency.request(entry)
    if (entry.state === 'queued') this.#alarms.watchBacklog(entry)
    return entry
  }

  /** The live session of this key. */
  find(owner: string, id: string): Session | undefined {
    return this.#alive.get(sessionKey(owner, id))
  }

  /** How many wait before this session; -1 when it does not wait. */
  place(session: Session): number {
    return this.#residency.waiting.place(own(session))
  }

  /**
   * The owner comes back on another stream, whose number is `session.connection` from now on.
   * @throws SessionEndedError, UnknownSessionError
   */
  resume(owner: string, id: string, incarnation: Uint8Array): Session {
    const key = sessionKey(owner, id)
    const entry = this.#alive.get(key)
    if (entry?.incarnation === undefined || Buffer.compare(entry.incarnation, incarnation) !== 0) {
      throw this.#epitaphs.error(key, id)
    }
    entry.connection++
    this.#counters.resumed++
    entry.disarm('grace')
    this.touch(entry)
    return entry
  }

  /** Starts the grace in which the owner may resume; a stream that was replaced meanwhile has no say. */
  connectionLost(session: Session, connection: number): void {
    const entry = own(session)
    if (!entry.alive || entry.connection !== connection || entry.armed('grace')) return
    // Without an incarnation there is nothing that the client could resume.
    if (entry.state === 'queued') void this.end(entry, 'DISCONNECT')
    else this.#alarms.watchAbsence(entry)
  }

  /** A frame of the owner came. */
  touch(session: Session): void {
    own(session).lastActivity = this.#components.clock.now()
  }

  /**
   * A run that the owner asked for is about to start; resolves once the session has its row, with its state in it. The
   * row stays until `runEnded`, which must follow unless this rejects.
   * @throws SessionEndedError
   */
  async runStarted(session: Session): Promise<void> {
    const entry = own(session)
    entry.runs++
    while (entry.alive) {
      if (entry.moving !== undefined) await entry.moving
      else if (!entry.startDone) await entry.started
      else if (entry.state === 'parked') {
        const moved = entry.moved()
        this.#residency.request(entry)
        await moved
      } else return
    }
    entry.endRun()
    throw entry.endedError()
  }

  runEnded(session: Session): void {
    const entry = own(session)
    entry.endRun()
    if (!entry.alive) return
    this.touch(entry)
    entry.lastUse = entry.lastActivity
    this.#alarms.watchIdle(entry)
    this.#residency.admit()
  }

  /** Ends a session: END, CANCEL, ERROR. Resolves when it is gone; the first reason stands. */
  end(session: Session, reason: EndReason): Promise<void> {
    const entry = own(session)
    if (entry.alive) this.#terminate(entry, reason)
    return entry.over
  }

  /**
   * Takes no new session, lets the granted ones go on, and ends those (DRAIN) after `timeoutMs`. Resolves when none is
   * left.
   */
  async drain(options: { timeoutMs: number }): Promise<void> {
    this.#admission.draining = true
    this.#endAll(entry => entry.state === 'queued')
    const cancel = this.#components.clock.after(options.timeoutMs, () => this.#endAll(() => true))
    await this.#empty()
    cancel()
  }

  /** Takes no new session and ends all (DRAIN). Resolves when none is left. */
  async close(): Promise<void> {
    this.#admission.draining = true
    this.#endAll(() => true)
    await this.#empty()
  }

  /** All that are not gone. */
  get sessions(): Iterable<Session> {
    return this.#entries
  }

  /** Bytes of KV cache that the session has filled, in its row or in the parking lot. */
  stateBytes(session: Session): number {
    const entry = own(session)
    return entry.row === undefined ? (entry.parkedBytes ?? 0) : this.#components.rows.stateBytes(entry)
  }

  /** Since the owner's last frame or run; 0 while a run is in flight. */
  idleMs(session: Session): number {
    return session.runs > 0 ? 0 : this.#components.clock.now() - session.lastActivity
  }

  statistics(): SessionStatistics {
    return {
      ...structuredClone({ ...this.#counters }),
      ...countSessions(this.#entries, this.#components.clock.now()),
      freeSlots: this.#residency.freeSlots,
      reservedBytes: this.#residency.reservedBytes,
      stateBytes: [...this.#entries].reduce((sum, entry) => sum + this.stateBytes(entry), 0),
      hookFailures: this.#hooks.failures
    }
  }

  /** The place of one that waited, or, from one that has a row, the place before all others. */
  #inheritedRank(old: Entry | undefined): Rank | undefined {
    if (old === undefined) return undefined
    if (old.state === 'queued') return old.rank
    return old.row === undefined ? undefined : this.#residency.waiting.behind(Number.POSITIVE_INFINITY)
  }

  /** The residency gave a row: a lease starts, or a parked session is back. */
  #resident(entry: Entry): void {
    const promoted = entry.armed('backlog')
    const first = entry.state === 'queued'
    entry.move('active')
    if (!first) return
    entry.disarm('backlog')
    const now = this.#components.clock.now()
    if (promoted) addDuration(this.#counters.backlogWait, now - entry.openedAt)
    entry.incarnation = this.#components.random(incarnationBytes)
    entry.grantedAt = now
    entry.lastActivity = now
    this.#alarms.watchIdle(entry)
    void this.#start(entry, promoted)
  }

  async #start(entry: Entry, promoted: boolean): Promise<void> {
    await this.#hooks.start(entry)
    entry.markStarted()
    this.#residency.admit()
    if (promoted && entry.alive) this.#notify(() => this.#components.events?.onPromoted?.(entry))
  }

  #terminate(entry: Entry, reason: EndReason): void {
    const granted = entry.state !== 'queued'
    entry.reason = reason
    entry.move('terminating')
    entry.disarmAll()
    this.#residency.waiting.remove(entry)
    this.#alive.delete(entry.key)
    this.#epitaphs.add(entry.key, reason)
    this.#counters.ended[reason]++
    entry.abort()
    this.#notify(() => this.#components.events?.onTerminated?.(entry, reason))
    void this.#finish(entry, reason, granted)
  }

  async #finish(entry: Entry, reason: EndReason, granted: boolean): Promise<void> {
    if (granted) {
      await entry.started
      await entry.moving
      await Promise.all([this.#hooks.evict(entry, reason), entry.quiet()])
      await this.#residency.giveBack(entry)
      addDuration(this.#counters.lease, this.#components.clock.now() - (entry.grantedAt ?? 0))
    }
    entry.markStarted()
    this.#entries.delete(entry)
    entry.move('gone')
    if (this.#entries.size === 0) for (const wake of this.#whenEmpty.splice(0)) wake()
    this.#residency.admit()
  }

  #endAll(which: (entry: Entry) => boolean): void {
    for (const entry of [...this.#entries].filter(which)) void this.end(entry, 'DRAIN')
  }

  async #empty(): Promise<void> {
    if (this.#entries.size > 0) await new Promise<void>(resolve => this.#whenEmpty.push(resolve))
  }

  #notify(call: () => void): void {
    try {
      call()
    } catch (thrown) {
      this.#components.logger.error({ error: thrown }, 'a listener of session events failed')
    }
  }
}

function own(session: Session): Entry {
  if (session instanceof Entry) return session
  throw new TypeError('not a session of this table')
}
