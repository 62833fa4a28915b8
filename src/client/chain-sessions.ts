import { type Clock, type Logger, toAndthenError } from '../base/index.ts'
import { openInOrder, openSession, type OpenSessionOptions, type SpanSession } from '../inference/index.ts'
import type { Network } from '../network/index.ts'
import type { Pushes, Route, VerifyPolicyName } from '../wire/index.ts'
import { busyFor, NoRoomError } from './busy.ts'
import { BUSY_PATIENCE_MS, QUEUED_MS, RESUME_PATIENCE_MS, ROUTE_TIMEOUT_MS } from './constants.ts'
import type { Candidate } from './directory.ts'
import { HopError, RouteRefusedError } from './errors.ts'

export interface ChainSessionsComponents {
  readonly network: Network
  readonly clock: Clock
  readonly logger: Logger
}

export interface ChainSessionsInit {
  readonly modelDigest: Uint8Array
  readonly verify: VerifyPolicyName
  readonly priority?: number | undefined
  /** Tokens that each will hold at most. */
  readonly maxLength: number
  /** Bytes of the longest output that will be asked for. */
  readonly maxTensorBytes: number
  /** For how long to wait for a server that is lost, ms. */
  readonly waitMs: number
  /** Without this server there is no chain: a session there is worth waiting for. */
  readonly isNeeded: (peerId: string) => boolean
}

/** The sessions that a chain has open, one a server, and what became of those that it had. */
export class ChainSessions {
  /** Sessions that went on over another connection than they were opened on. */
  resumes = 0
  /** What became of pushes into sessions that are over. */
  readonly pushes: Pushes = { used: 0, late: 0, ignored: 0, mismatched: 0 }
  readonly #components: ChainSessionsComponents
  readonly #init: ChainSessionsInit
  readonly #sessions = new Map<string, SpanSession>()
  #closed = false

  constructor(components: ChainSessionsComponents, init: ChainSessionsInit) {
    this.#components = components
    this.#init = init
  }

  /** The session on this server; it may be over. */
  at(peerId: string): SpanSession | undefined {
    return this.#sessions.get(peerId)
  }

  /** Opens those that are missing, or over. @throws HopError of the server that failed first; those that were opened stay */
  async open(servers: readonly Candidate[], signal: AbortSignal): Promise<void> {
    const missing = servers.filter(({ peerId }) => this.at(peerId)?.alive !== true)
    // Sessions in the middle of their text do not lie idle as long as a backlog lasts.
    const queuedMs = missing.length < servers.length ? QUEUED_MS : BUSY_PATIENCE_MS
    const { sessions, failure } = await openInOrder(
      missing,
      (server, options) => this.#openWithin(queuedMs, server, options),
      signal
    )
    for (const [{ peerId }, session] of sessions) this.#keep(peerId, session)
    if (failure !== null) throw new HopError(failure.peer.peerId, failure.error)
  }

  /** Opens another session on a server, which is left to run the route behind it. @throws HopError, of RouteRefusedError too */
  async openRoute(server: Candidate, route: Route, signal: AbortSignal): Promise<SpanSession> {
    this.drop(server.peerId)
    try {
      const session = await this.#openWithin(BUSY_PATIENCE_MS, server, { signal }, route)
      this.#keep(server.peerId, session)
      return session
    } catch (error) {
      const failure = toAndthenError(error)
      const isRefusal = failure.code === 'QUOTA' && busyFor(failure) === null
      throw new HopError(server.peerId, isRefusal ? new RouteRefusedError(failure) : failure)
    }
  }

  /**
   * Gives up the session on a server. With a word, also where it was too late with an answer: one that only is busy would keep
   * for a client that lost its connection what others wait for, this one too.
   */
  drop(peerId: string): void {
    const session = this.#sessions.get(peerId)
    if (session === undefined) return
    this.#sessions.delete(peerId)
    this.#count(session)
    void session.close()
  }

  /** Gives up those that are not among these. */
  dropAllBut(used: ReadonlySet<SpanSession>): void {
    for (const [peerId, session] of [...this.#sessions]) if (!used.has(session)) this.drop(peerId)
  }

  /** Ends all in good order, and those that are opened meanwhile. */
  async close(): Promise<void> {
    this.#closed = true
    const sessions = [...this.#sessions.values()]
    this.#sessions.clear()
    await Promise.all(sessions.map(session => session.close()))
    for (const session of sessions) this.#count(session)
  }

  /** @param ms in its backlog at most; a server that queues for longer has no room */
  async #openWithin(ms: number, server: Candidate, options: OpenSessionOptions, route?: Route): Promise<SpanSession> {
    const late = new AbortController()
    let cancel: (() => void) | undefined
    const onQueued = (): void => {
      cancel ??= this.#components.clock.after(ms, () => late.abort())
      options.onQueued?.()
    }
    const signal = AbortSignal.any([late.signal, ...(options.signal === undefined ? [] : [options.signal])])
    try {
      return await this.#open(server, { signal, onQueued }, route)
    } catch (thrown) {
      throw late.signal.aborted ? new NoRoomError(server.peerId, ms) : thrown
    } finally {
      cancel?.()
    }
  }

  #open(server: Candidate, options: OpenSessionOptions, route?: Route): Promise<SpanSession> {
    const { modelDigest, maxLength, maxTensorBytes, verify, priority, waitMs, isNeeded } = this.#init
    return openSession(
      this.#components,
      {
        peer: server.target,
        modelDigest,
        from: server.from,
        to: server.to,
        maxLength,
        verify,
        priority,
        route,
        ...(route !== undefined && { timeoutMs: ROUTE_TIMEOUT_MS }),
        maxTensorBytes,
        resumeMs: () => (isNeeded(server.peerId) ? Math.min(waitMs, RESUME_PATIENCE_MS) : 0)
      },
      options
    )
  }

  #keep(peerId: string, session: SpanSession): void {
    if (this.#closed) void session.close()
    else this.#sessions.set(peerId, session)
  }

  #count({ pushes, resumes }: SpanSession): void {
    this.resumes += resumes
    this.pushes.used += pushes.used
    this.pushes.late += pushes.late
    this.pushes.ignored += pushes.ignored
    this.pushes.mismatched += pushes.mismatched
  }
}
