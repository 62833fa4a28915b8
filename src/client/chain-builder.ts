import { type AndthenError, CancelledError, type Clock, type Logger, pause } from '../base/index.ts'
import { type Boundaries, createRouteCheck } from '../inference/index.ts'
import type { BlockRange } from '../model/index.ts'
import { type Network, verifySignature } from '../network/index.ts'
import type { Digester, Pushes, VerifyPolicyName } from '../wire/index.ts'
import { Alignment } from './alignment.ts'
import { busyFor } from './busy.ts'
import { ChainSessions } from './chain-sessions.ts'
import { BUSY_PATIENCE_MS, PREFILL_TOKENS, ROUTE_QUOTA_FACTOR } from './constants.ts'
import type { Candidate } from './directory.ts'
import { BlocksNotCoveredError, HopError, ReplayInterruptedError } from './errors.ts'
import type { Hop } from './hop.ts'
import type { Judge } from './judge.ts'
import { type RouteName, ServerChoice } from './server-choice.ts'
import type { Standing } from './standing.ts'
import { Trouble } from './trouble.ts'

export interface ChainBuilderComponents {
  readonly network: Network
  readonly clock: Clock
  /** From 0 to 1. */
  readonly random: () => number
  readonly logger: Logger
  readonly digest: Digester
  readonly boundaries: Boundaries
  readonly standing: Standing
  readonly judge: Judge
}

export interface ChainBuilderInit {
  /** Servers that can hold `maxLength` tokens. */
  readonly candidates: readonly Candidate[]
  readonly modelDigest: Uint8Array
  /** Of the whole model. */
  readonly blocks: number
  readonly route: RouteName
  readonly verify: VerifyPolicyName
  /** Of its sessions, on their servers. @default 0 */
  readonly priority?: number | undefined
  /** Tokens that the chain must be able to hold. */
  readonly maxLength: number
  readonly stepTimeoutMs: number
  /** For how long to go on while nothing comes of it, and to wait for a server whose place no other can take. */
  readonly waitMs: number
}

/** A chain that stands at some length, and may run steps of this epoch. */
export interface BuiltChain {
  readonly hops: readonly Hop[]
  /** The servers in use, in order: under delegate more than hops. */
  readonly servers: readonly Candidate[]
  readonly epoch: number
}

/**
 * Builds a chain, and builds it again when a server fails: chooses servers, opens sessions, names to each whom it pushes
 * to, and brings all to one length with the inputs that were kept.
 */
export class ChainBuilder {
  readonly #components: ChainBuilderComponents
  readonly #init: ChainBuilderInit
  readonly #choice: ServerChoice
  /** That a delegated route may carry. */
  readonly #routeBytes: number
  readonly #sessions: ChainSessions
  readonly #alignment: Alignment
  readonly #trouble: Trouble
  /** The last chain that stood: its servers may have seen steps of this epoch. None: no chain ever did. */
  #stood: readonly Hop[] = []
  /** That it waits, since a pass was done. */
  #toldOfWaiting = false
  /** That it runs the chain itself, since a route was left to a server last. */
  #toldOfOwnChain = false

  constructor(components: ChainBuilderComponents, init: ChainBuilderInit) {
    this.#components = components
    this.#init = init
    this.#routeBytes = ROUTE_QUOTA_FACTOR * init.maxLength * components.boundaries.rowBytes
    this.#choice = new ServerChoice(components, { ...init, routeBytes: this.#routeBytes })
    this.#trouble = new Trouble(components, init)
    this.#alignment = new Alignment(components, { ...init, onProgress: () => this.#trouble.progress() })
    this.#sessions = new ChainSessions(components, {
      ...init,
      maxTensorBytes: PREFILL_TOKENS * components.boundaries.rowBytes,
      isNeeded: peerId => this.isNeeded(peerId)
    })
  }

  /** Servers that were brought to a length by replaying to them. */
  get replays(): number {
    return this.#alignment.replays
  }

  /** Sessions that went on over another connection than they were opened on. */
  get resumes(): number {
    return this.#sessions.resumes
  }

  /** What became of pushes into sessions that are over. */
  get pushes(): Pushes {
    return this.#sessions.pushes
  }

  /**
   * A chain at `position` tokens. Servers that fail meanwhile are replaced; where no other can take the place of one that is
   * lost, that one is waited for.
   *
   * @throws what the last server failed with where the chain never stood, BlocksNotCoveredError where no servers are
   * left, CancelledError
   */
  async build(position: number, signal: AbortSignal): Promise<BuiltChain> {
    const room = { until: this.#components.clock.now() + BUSY_PATIENCE_MS }
    for (;;) {
      const servers = this.#choose()
      await this.#waitFor(servers, room, signal)
      try {
        const hops = await this.#open(servers, position, signal)
        this.#sessions.dropAllBut(new Set(hops.map(({ session }) => session)))
        this.#stood = hops
        return { hops, servers, epoch: this.#alignment.epoch }
      } catch (error) {
        if (signal.aborted) throw new CancelledError('building the chain')
        if (!(error instanceof HopError)) throw error
        // Its session is there; what is lacking is seen when all begin another epoch. Where nothing comes of that, it is lost.
        const isThere = error.cause instanceof ReplayInterruptedError && !this.#trouble.isPatienceOver
        if (isThere) await this.#pause(this.#trouble.interrupted(error.cause), signal)
        else this.failed(error.peerId, error.cause, servers)
      }
    }
  }

  /** A server of this chain failed: it is judged, and its session given up. */
  failed(peerId: string, error: AndthenError, servers: readonly Candidate[]): void {
    if (busyFor(error) === null) this.#trouble.failed(error)
    else this.#trouble.full(error)
    this.#components.judge.failed(peerId, error, servers)
    this.#sessions.drop(peerId)
  }

  /** No other server could take the place of this one. */
  isNeeded(peerId: string): boolean {
    return this.#choice.isNeeded(peerId)
  }

  /** A server of the chain that stands has answered something. */
  progress(): void {
    this.#trouble.progress()
  }

  /** A pass went through these servers. */
  worked(servers: readonly Candidate[]): void {
    this.#trouble.over()
    this.#toldOfWaiting = false
    for (const { peerId } of servers) this.#components.standing.worked(peerId)
  }

  /** Ends all sessions; returns the least that a server of the last chain that stood committed, tokens. */
  async close(): Promise<number> {
    await this.#sessions.close()
    return this.#stood.length === 0 ? 0 : Math.min(...this.#stood.map(({ session }) => session.lengths.committed))
  }

  #isOpen(peerId: string): boolean {
    return this.#sessions.at(peerId)?.alive === true
  }

  #choose(): readonly Candidate[] {
    const { failure, isHopeless } = this.#trouble
    if (failure !== null && isHopeless) throw failure
    const { servers, missing } = this.#choice.choose(peerId => this.#isOpen(peerId))
    if (missing.length > 0) throw this.#notCovered(missing, null)
    return servers
  }

  /** Waits until these servers, which nobody else can take the place of, may be asked. */
  async #waitFor(servers: readonly Candidate[], room: { until: number }, signal: AbortSignal): Promise<void> {
    const { clock, standing } = this.#components
    const busyMs = Math.max(...servers.map(({ peerId }) => standing.busyMs(peerId)))
    const { failure } = this.#trouble
    if (failure !== null && busyFor(failure) !== null && clock.now() + busyMs > room.until) throw failure
    // What lies idle meanwhile might be just what those wait for who take up the room.
    if (busyMs > 0) this.#sessions.dropAllBut(new Set())
    const lost = servers.filter(({ peerId }) => standing.suspicion(peerId) > 0 && !this.#isOpen(peerId))
    if (lost.length > 0 && this.#trouble.isPatienceOver) throw this.#notCovered(lost, lost)
    await this.#pause(Math.max(busyMs, this.#backOffMs(lost)), signal)
  }

  /** For how long servers that were lost are left alone, and says so. */
  #backOffMs(lost: readonly Candidate[]): number {
    const { logger, standing } = this.#components
    const { failure, leftMs } = this.#trouble
    const ms = Math.min(leftMs, Math.max(0, ...lost.map(({ peerId }) => standing.backOffMs(peerId))))
    if (ms <= 0) return 0
    const about = {
      peers: lost.map(({ peerId }) => peerId),
      blocks: lost.map(({ from, to }) => `${from}-${to}`),
      reason: failure?.message,
      seconds: Math.round(leftMs / 1000)
    }
    // Once, and then for those who look closely.
    const level = this.#toldOfWaiting ? 'debug' : 'warn'
    logger[level](about, 'waiting for a server that was lost: no other can take its place')
    this.#toldOfWaiting = true
    return ms
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    if (ms <= 0) return
    await pause(this.#components.clock, ms, signal)
    if (signal.aborted) throw new CancelledError('building the chain')
  }

  /** Why there is no chain: what the last server failed with, where there never was one. */
  #notCovered(missing: readonly BlockRange[], lost: readonly Candidate[] | null): AndthenError {
    const { failure, spentMs } = this.#trouble
    if (failure !== null && this.#stood.length === 0) return failure
    const cause = failure === null ? {} : { cause: failure }
    const gone = lost === null ? null : { peerIds: lost.map(({ peerId }) => peerId), waitedMs: spentMs }
    return new BlocksNotCoveredError(missing, cause, { lost: gone })
  }

  /** Sessions on these servers, all at `position` tokens. @throws HopError of the server that failed first */
  async #open(servers: readonly Candidate[], position: number, signal: AbortSignal): Promise<readonly Hop[]> {
    if (this.#choice.delegates(servers)) {
      this.#toldOfOwnChain = false
      const hop = await this.#openRoute(servers, signal)
      await this.#alignment.catchUp(hop, servers.length, position, signal)
      return [hop]
    }
    if (this.#init.route === 'delegate' && servers.length > 1) this.#tellOfOwnChain(servers)
    const hops = await this.#openEach(servers, signal)
    // The first chain is at no tokens in epoch 0 as it is, unless whom to push to is to be named.
    const isFirst = this.#stood.length === 0 && this.#alignment.epoch === 0
    if (!isFirst || hops.some(({ pushed }) => pushed)) await this.#alignment.align(hops, position, signal)
    return hops
  }

  /** Who asked for a delegated route has more round trips a token than that promises. */
  #tellOfOwnChain(servers: readonly Candidate[]): void {
    const { logger } = this.#components
    const [first, ...others] = servers.map(({ peerId }) => peerId)
    const level = this.#toldOfOwnChain ? 'debug' : 'warn'
    const unable = this.#choice.announcesRoutes(servers[0]) ? undefined : 'it announces that it takes on no such route'
    const about = { first, others, reason: unable ?? this.#trouble.failure?.message }
    logger[level](about, 'the route is not left to its first server: the client runs it by push, or relays')
    this.#toldOfOwnChain = true
  }

  async #openEach(servers: readonly Candidate[], signal: AbortSignal): Promise<Hop[]> {
    await this.#sessions.open(servers, signal)
    return servers.map((server, place) => {
      const session = this.#sessions.at(server.peerId)
      if (session === undefined) throw new CancelledError('building the chain')
      return { server, session, pushed: this.#choice.isPushed(servers, place) }
    })
  }

  /** One session, on the first server, which is left to run the others. A route is never used again. */
  async #openRoute(servers: readonly Candidate[], signal: AbortSignal): Promise<Hop> {
    const [first, ...rest] = servers
    if (first === undefined) throw new RangeError('a route of no servers')
    const { modelDigest, blocks } = this.#init
    const { network } = this.#components
    const hops = rest.map(({ peerId, addresses, from, to }) => ({
      peer: { peerId, addresses: [...addresses], pushKey: new Uint8Array() },
      from,
      to
    }))
    const route = { hops, hopsLeft: hops.length, bytesQuota: this.#routeBytes }
    const session = await this.#sessions.openRoute(first, route, signal)
    const { incarnation } = session.opened
    const check = createRouteCheck({ modelDigest, owner: network.peerId, incarnation, servers }, verifySignature)
    return { server: { ...first, to: blocks }, session, pushed: false, check }
  }
}
