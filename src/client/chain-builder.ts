import { type AndthenError, CancelledError, type Clock, type Logger, pause, toAndthenError } from '../base/index.ts'
import { type Boundaries, createRouteCheck, ServerFaultError } from '../inference/index.ts'
import { type Network, verifySignature } from '../network/index.ts'
import type { Digester, Pushes, Rewound, VerifyPolicyName } from '../wire/index.ts'
import { catchUp } from './catch-up.ts'
import { busyFor } from './busy.ts'
import { ChainSessions } from './chain-sessions.ts'
import { BUSY_PATIENCE_MS, MAX_REPAIRS, PREFILL_TOKENS, ROUTE_QUOTA_FACTOR } from './constants.ts'
import type { Candidate } from './directory.ts'
import { BlocksNotCoveredError, HopError } from './errors.ts'
import type { Judge } from './judge.ts'
import { replay, rewindLengths } from './replay.ts'
import type { Hop } from './hop.ts'
import type { Standing } from './standing.ts'
import { chooseTiling } from './tiling.ts'

export type RouteName = 'relay' | 'push' | 'delegate'

export interface ChainBuilderComponents {
  readonly network: Network
  readonly clock: Clock
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
  /** Servers that were brought to a length by replaying to them. */
  replays = 0
  readonly #components: ChainBuilderComponents
  readonly #init: ChainBuilderInit
  readonly #sessions: ChainSessions
  #epoch = 0
  /** The last chain that stood: its servers may have seen steps of this epoch. None: no chain ever did. */
  #stood: readonly Hop[] = []

  constructor(components: ChainBuilderComponents, init: ChainBuilderInit) {
    this.#components = components
    this.#init = init
    this.#sessions = new ChainSessions(components, {
      ...init,
      maxTensorBytes: PREFILL_TOKENS * components.boundaries.rowBytes,
      isNeeded: peerId => this.#isNeeded(peerId)
    })
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
   * A chain at `position` tokens. Servers that fail meanwhile are replaced.
   *
   * @throws what the last server failed with where the chain never stood, BlocksNotCoveredError where no servers are
   * left, CancelledError
   */
  async build(position: number, signal: AbortSignal): Promise<BuiltChain> {
    const { clock, standing } = this.#components
    const patientUntil = clock.now() + BUSY_PATIENCE_MS
    let failure: AndthenError | undefined
    for (let attempt = 0; attempt < MAX_REPAIRS; ) {
      const servers = this.#choose(failure)
      const busyMs = Math.max(...servers.map(({ peerId }) => standing.busyMs(peerId)))
      if (failure !== undefined && busyFor(failure) !== null && clock.now() + busyMs > patientUntil) throw failure
      await this.#waitWithNothing(busyMs, signal)
      try {
        const hops = await (this.#delegates(servers) ? this.#openRoute(servers, signal) : this.#open(servers, signal))
        if (this.#delegates(servers)) await this.#catchUp(hops, servers, position, signal)
        else await this.#align(hops, position, signal)
        this.#sessions.dropAllBut(new Set(hops.map(({ session }) => session)), new CancelledError('a session'))
        this.#stood = hops
        return { hops, servers, epoch: this.#epoch }
      } catch (error) {
        if (signal.aborted) throw new CancelledError('building the chain')
        if (!(error instanceof HopError)) throw error
        failure = error.cause
        if (busyFor(failure) === null) attempt++
        this.#components.judge.failed(error.peerId, error.cause, servers)
        this.drop(error.peerId, error.cause)
      }
    }
    throw failure ?? new BlocksNotCoveredError([{ from: 0, to: this.#init.blocks }])
  }

  /** Gives up the session on a server that failed. */
  drop(peerId: string, error: AndthenError): void {
    this.#sessions.drop(peerId, error)
  }

  /** Ends all sessions; returns the least that a server of the last chain that stood committed, tokens. */
  async close(): Promise<number> {
    await this.#sessions.close()
    return this.#stood.length === 0 ? 0 : Math.min(...this.#stood.map(({ session }) => session.lengths.committed))
  }

  #choose(failure: AndthenError | undefined): Candidate[] {
    const { candidates, blocks } = this.#init
    const { standing } = this.#components
    const usable = candidates.filter(({ peerId }) => !standing.isExcluded(peerId))
    const choices = usable.map(server => {
      const blocksToReplay = this.#sessions.at(server.peerId)?.alive === true ? 0 : server.to - server.from
      const banned = standing.isBanned(server.peerId) ? 1 : 0
      const suspect = standing.isSuspect(server.peerId) ? 1 : 0
      const busy = standing.busyMs(server.peerId)
      const cost = [banned, busy > 0 ? 1 : 0, suspect, blocksToReplay, 1, server.pingMs]
      return { server, from: server.from, to: server.to, cost }
    })
    const { chosen, missing } = chooseTiling(choices, blocks)
    if (missing.length === 0) return chosen.map(({ server }) => server)
    if (failure !== undefined && this.#stood.length === 0) throw failure
    throw new BlocksNotCoveredError(missing, failure === undefined ? {} : { cause: failure })
  }

  async #open(servers: readonly Candidate[], signal: AbortSignal): Promise<Hop[]> {
    const { standing } = this.#components
    await this.#sessions.open(servers, signal)
    return servers.map((server, i) => {
      const session = this.#sessions.at(server.peerId)
      if (session === undefined) throw new CancelledError('building the chain')
      const upstream = servers[i - 1]
      const pushed =
        this.#init.route !== 'relay' && upstream !== undefined && !standing.isRelayed(upstream.peerId, server.peerId)
      return { server, session, pushed }
    })
  }

  /** Waits for servers to have room; what lies idle meanwhile might be just what those wait for who take it up. */
  async #waitWithNothing(ms: number, signal: AbortSignal): Promise<void> {
    if (ms <= 0) return
    this.#sessions.dropAllBut(new Set(), new CancelledError('waiting for a server'))
    await pause(this.#components.clock, ms, signal)
    if (signal.aborted) throw new CancelledError('building the chain')
  }

  /** A route is left to its first server where it pushes all along; else the client runs it by push and relay. */
  #delegates(servers: readonly Candidate[]): boolean {
    const { standing } = this.#components
    const isPushed = (server: Candidate, i: number): boolean =>
      i === 0 || !standing.isRelayed(servers[i - 1]?.peerId ?? '', server.peerId)
    return this.#init.route === 'delegate' && servers.length > 1 && servers.every(isPushed)
  }

  /** One session, on the first server, which is left to run the others. A route is never used again. */
  async #openRoute(servers: readonly Candidate[], signal: AbortSignal): Promise<Hop[]> {
    const [first, ...rest] = servers
    if (first === undefined) throw new RangeError('a route of no servers')
    const { modelDigest, maxLength, blocks } = this.#init
    const { network, boundaries } = this.#components
    const hops = rest.map(({ peerId, addresses, from, to }) => ({
      peer: { peerId, addresses: [...addresses], pushKey: new Uint8Array() },
      from,
      to
    }))
    const bytesQuota = ROUTE_QUOTA_FACTOR * maxLength * boundaries.rowBytes
    const session = await this.#sessions.openRoute(first, { hops, hopsLeft: hops.length, bytesQuota }, signal)
    const { incarnation } = session.opened
    const check = createRouteCheck({ modelDigest, owner: network.peerId, incarnation, servers }, verifySignature)
    return [{ server: { ...first, to: blocks }, session, pushed: false, check }]
  }

  async #catchUp(
    hops: readonly Hop[],
    servers: readonly Candidate[],
    position: number,
    signal: AbortSignal
  ): Promise<void> {
    const [hop] = hops
    if (hop === undefined || position === 0) return
    const { verify, stepTimeoutMs } = this.#init
    const epoch = ++this.#epoch
    await this.#rewind(hops, 0, 0, epoch)
    await catchUp(this.#components, hop, { epoch, position, verify, stepTimeoutMs }, signal)
    await this.#rewind(hops, 0, position, ++this.#epoch)
    this.replays += servers.length
  }

  /** Begins an epoch in which all servers hold `position` tokens. The first chain needs none where it pushes nothing. */
  async #align(hops: readonly Hop[], position: number, signal: AbortSignal): Promise<void> {
    const { boundaries } = this.#components
    if (this.#stood.length === 0 && this.#epoch === 0 && !hops.some(({ pushed }) => pushed)) return
    const epoch = ++this.#epoch
    const spans = hops.map(({ server }) => server)
    const cutTo = rewindLengths(spans, position, block => boundaries.at(block).length)
    const rewound = await Promise.all(hops.map((_, i) => this.#rewind(hops, i, cutTo[i] ?? 0, epoch)))
    const lengths = rewound.map(({ lengths: { length } }) => length)
    const { stepTimeoutMs } = this.#init
    this.replays += await replay(this.#components, hops, { epoch, position, lengths, stepTimeoutMs }, signal)
  }

  async #rewind(hops: readonly Hop[], i: number, length: number, epoch: number): Promise<Rewound> {
    const [hop, upstream, next] = [hops[i], hops[i - 1], hops[i + 1]]
    if (hop === undefined) throw new RangeError(`hop ${i} of ${hops.length}`)
    let rewound: Rewound
    try {
      rewound = await hop.session.rewind({
        epoch,
        length,
        ...(hop.pushed && upstream !== undefined ? { upstream: upstream.server.peerId } : { upstreamNone: true }),
        ...(next?.pushed === true ? { next: pushTarget(next) } : { nextNone: true })
      })
    } catch (error) {
      throw new HopError(hop.server.peerId, toAndthenError(error))
    }
    const { lengths } = rewound
    if (lengths.length <= length) return rewound
    const what = `holds ${lengths.length} tokens after it was cut back to ${length}`
    throw new HopError(hop.server.peerId, new ServerFaultError(hop.server.peerId, what))
  }

  /** No servers tile the model without this one. */
  #isNeeded(peerId: string): boolean {
    const { candidates, blocks } = this.#init
    const { standing } = this.#components
    const others = candidates.filter(other => other.peerId !== peerId && !standing.isExcluded(other.peerId))
    return (
      chooseTiling(
        others.map(({ from, to }) => ({ from, to, cost: [] })),
        blocks
      ).missing.length > 0
    )
  }
}

function pushTarget({ server, session }: Hop) {
  return { peerId: server.peerId, addresses: [...server.addresses], pushKey: session.opened.pushKey }
}
