import { type AndthenError, toAndthenError } from '../../../base/index.ts'
import type { Network } from '../../../network/index.ts'
import type { Output, Pushes, Route, RouteHop, VerifyPolicyName } from '../../../wire/index.ts'
import { BusyError } from '../../../session/index.ts'
import { RequestError, RouteMismatchError } from '../../errors.ts'
import {
  awaitMismatch,
  Boundaries,
  type Fault,
  type Hop,
  openSession,
  type PassTrace,
  Pipeline,
  Watchdog
} from '../../owner/index.ts'
import type { DialPolicy } from '../dial-policy.ts'
import type { ServerComponents } from '../facts.ts'
import { MAX_KEPT_BYTES, underWayBytes } from './route-memory.ts'

/** When a server of the route that has no room is worth asking again, where it does not say so itself, ms. */
const RETRY_MS = 1_000
/** A route that does not move for so long has failed: sooner than its owner gives up on this node. */
const STEP_TIMEOUT_MS = 20_000
/** A route that fails begins anew at token 0: a link between two servers that both live is worth several attempts, ms. */
const RESUME_MS = 2_000

export interface DelegateComponents extends ServerComponents {
  readonly network: Network
  readonly policy: DialPolicy
}

export interface DelegateInit {
  readonly route: Route
  /** Who asked for it, and pays with its allowance of dials. */
  readonly owner: string
  readonly verify: VerifyPolicyName
  readonly maxLength: number
}

/** What the rest of the route made of one step. */
export interface RouteResult {
  /** Headers of the servers of the route, in order. */
  readonly outputs: readonly Output[]
  /** The last server's hidden states; null where none were wanted. */
  readonly tensor: Uint8Array | null
}

type MismatchFault = Extract<Fault, { kind: 'mismatch' }>

interface Waiting {
  resolve(result: RouteResult): void
  reject(error: AndthenError): void
}

/**
 * The rest of a route, when a client left it to this node: this node is the client of the servers after it, by push, and
 * proves to them what was pushed. It keeps nothing for a fail-over: when one of them fails the route has failed, and its
 * owner chooses another.
 */
export class DelegatedRoute {
  readonly #components: DelegateComponents
  readonly #hops: readonly Hop[]
  readonly #verify: VerifyPolicyName
  readonly #boundaries: Boundaries
  readonly #watchdog: Watchdog
  readonly #waiting = new Map<number, Waiting>()
  #pipeline: Pipeline | null = null
  /** Under way. */
  #rewinding: Promise<void> | null = null
  #epoch = 0
  #bytesLeft: number
  /** Bytes of input of the passes that are not retired, by step; what they take at each boundary is as much. */
  readonly #underWay = new Map<number, number>()
  #bytesUnderWay = 0
  readonly #mostUnderWay: number
  #failure: AndthenError | null = null
  /** Why the route has failed, once it is known. */
  #verdict: Promise<never> | null = null
  /** Told once, when a server of the route fails. */
  onFailed: (error: AndthenError) => void = () => undefined

  private constructor(components: DelegateComponents, hops: readonly Hop[], init: DelegateInit) {
    this.#components = components
    this.#hops = hops
    this.#verify = init.verify
    this.#bytesLeft = init.route.bytesQuota
    const rowBytes = components.facts.hiddenSize * Float32Array.BYTES_PER_ELEMENT
    this.#mostUnderWay = underWayBytes(init.maxLength, components)
    this.#boundaries = new Boundaries(rowBytes)
    this.#watchdog = new Watchdog(components, { stepTimeoutMs: STEP_TIMEOUT_MS })
  }

  /**
   * Opens a session on every server of the route and names to each whom it pushes to.
   *
   * @throws RequestError ROUTE_FAILED with the peer that failed
   */
  static async open(components: DelegateComponents, init: DelegateInit, signal: AbortSignal): Promise<DelegatedRoute> {
    const opened = await Promise.allSettled(init.route.hops.map(hop => openHop(components, init, hop, signal)))
    // The first is given its inputs by this node; the others are pushed to.
    const hops = opened.flatMap((result, i) =>
      result.status === 'fulfilled' ? [{ ...result.value, pushed: i > 0 }] : []
    )
    const route = new DelegatedRoute(components, hops, init)
    try {
      for (const [i, result] of opened.entries())
        if (result.status === 'rejected') throw routeFailed(init.route.hops[i]?.peer.peerId ?? '', result.reason)
      await route.rewind(0)
      return route
    } catch (error) {
      route.end()
      throw error
    }
  }

  /** Begins a new epoch in which all servers hold `length` tokens. @throws RequestError ROUTE_FAILED */
  rewind(length: number): Promise<void> {
    const rewinding = this.#rewind(length).finally(() => {
      if (this.#rewinding === rewinding) this.#rewinding = null
    })
    this.#rewinding = rewinding
    return rewinding
  }

  async #rewind(length: number): Promise<void> {
    this.#pipeline = null
    this.#watchdog.watch(null)
    this.#drop(new RequestError('EPOCH', 'the epoch is over'))
    this.#underWay.clear()
    this.#bytesUnderWay = 0
    const epoch = ++this.#epoch
    await Promise.all(
      this.#hops.map(async (hop, i) => {
        const [upstream, next] = [this.#hops[i - 1], this.#hops[i + 1]]
        try {
          // A rewind overtakes tensors, and a copy that proves the last step must not be overtaken.
          await hop.session.flushed()
          const { lengths } = await hop.session.rewind({
            epoch,
            length,
            ...(upstream === undefined ? { upstreamNone: true } : { upstream: upstream.server.peerId }),
            ...(next === undefined ? { nextNone: true } : { next: pushTarget(next) })
          })
          if (lengths.length !== length)
            throw new RequestError('GONE', `it holds ${lengths.length} tokens, not ${length}`)
        } catch (thrown) {
          throw routeFailed(hop.server.peerId, thrown)
        }
      })
    )
    this.#begin(epoch)
  }

  /**
   * Sends what this node computed through the rest of the route.
   *
   * @param input float32 [n, hidden], unchanged from here on
   * @throws RequestError ROUTE_FAILED, QUOTA; RouteMismatchError
   */
  run(step: { position: number; n: number; want: 'last' | 'none' }, input: Uint8Array): Promise<RouteResult> {
    if (this.#verdict !== null) return this.#verdict
    // An owner that came back takes `Resumed` for the answer to its rewind, before the rest of the route has answered.
    if (this.#rewinding !== null) return this.#rewinding.then(() => this.run(step, input))
    return new Promise((resolve, reject) => {
      const pipeline = this.#pipeline
      this.#bytesLeft -= input.length
      if (this.#failure !== null || pipeline === null) {
        reject(this.#failure ?? new RequestError('EPOCH', 'the epoch is over'))
      } else if (this.#bytesLeft < 0) {
        reject(new RequestError('QUOTA', 'the route has carried the bytes that its owner asked for'))
      } else if (this.#bytesUnderWay + input.length > this.#mostUnderWay) {
        const most = this.#mostUnderWay
        reject(new RequestError('QUOTA', `more than ${most} bytes of hidden states under way in the route at once`))
      } else {
        this.#underWay.set(pipeline.nextStep, input.length)
        this.#bytesUnderWay += input.length
        this.#waiting.set(pipeline.nextStep, { resolve, reject })
        pipeline.start({ ...step, input })
        this.#watchdog.progress()
      }
    })
  }

  /** Tokens that every server of the route has proven. */
  get committed(): number {
    return Math.min(...this.#hops.map(({ session }) => session.lengths.committed))
  }

  /** What became of the pushes between its servers. */
  get pushes(): Pushes {
    const total = (kind: keyof Pushes): number => this.#hops.reduce((sum, { session }) => sum + session.pushes[kind], 0)
    return { used: total('used'), late: total('late'), ignored: total('ignored'), mismatched: total('mismatched') }
  }

  /** Ends its sessions in good order; then `committed` and `pushes` are what their servers said last. */
  async close(): Promise<void> {
    this.#watchdog.watch(null)
    await Promise.all(this.#hops.map(({ session }) => session.close()))
  }

  end(): void {
    this.#failure ??= new RequestError('GONE', 'the session is over')
    this.#watchdog.watch(null)
    this.#pipeline = null
    this.#drop(this.#failure)
    for (const { session } of this.#hops) void session.close()
  }

  #begin(epoch: number): void {
    const { clock, digest } = this.#components
    const events = {
      onEmit: (step: number, tensor: Uint8Array | null, trace: PassTrace) => this.#onEmit(step, tensor, trace),
      onRetire: (step: number) => {
        if (this.#pipeline !== pipeline) return
        this.#bytesUnderWay -= this.#underWay.get(step) ?? 0
        this.#underWay.delete(step)
        // Nothing is kept for a fail-over; what waits for a NeedCopy is under way, and has its memory from before.
        if (this.#boundaries.bytes > MAX_KEPT_BYTES) this.#boundaries.clear()
      },
      onProgress: () => this.#watchdog.progress(),
      onFault: (fault: Fault) => this.#onFault(fault)
    }
    const pipeline = new Pipeline(
      { clock, digest, boundaries: this.#boundaries, events },
      { hops: this.#hops, epoch, verify: this.#verify, withReceipts: true }
    )
    this.#pipeline = pipeline
    this.#watchdog.watch(pipeline)
    pipeline.begin()
  }

  #onEmit(step: number, tensor: Uint8Array | null, trace: PassTrace): void {
    const waiting = this.#waiting.get(step)
    this.#waiting.delete(step)
    if (trace.n === 1) this.#watchdog.passed(this.#components.clock.now() - trace.startedMs)
    const outputs = trace.hops.flatMap(({ output }) => output ?? [])
    waiting?.resolve({ outputs, tensor })
  }

  #onFault(fault: Fault): void {
    this.#pipeline = null
    this.#watchdog.watch(null)
    if (fault.kind === 'server') this.#fail(routeFailed(this.#hops[fault.server]?.server.peerId ?? '', fault.error))
    else {
      this.#verdict = this.#weigh(fault).then(failure => {
        this.#fail(failure)
        throw failure
      })
      this.#verdict.catch(() => undefined)
    }
  }

  /** Who lied is for the route's owner to say, whose connections the two are: it gets what both have signed. */
  async #weigh({ upstream, downstream, output, mismatch }: MismatchFault): Promise<RouteMismatchError> {
    const session = this.#hops[downstream]?.session
    const said = mismatch ?? (session === undefined ? null : await awaitMismatch(session, this.#components.clock))
    const [told, pushed] = [output?.receipts[0], said?.upstreamReceipt]
    const receipts = told === undefined || pushed == null ? [] : [told, pushed]
    return new RouteMismatchError(this.#hops[upstream]?.server.peerId ?? '', receipts)
  }

  #fail(failure: AndthenError): void {
    this.#failure ??= failure
    this.#drop(failure)
    this.onFailed(failure)
  }

  #drop(error: AndthenError): void {
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const { reject } of waiting) reject(error)
  }
}

async function openHop(
  components: DelegateComponents,
  { owner, verify, maxLength }: DelegateInit,
  { peer, from, to }: RouteHop,
  signal: AbortSignal
): Promise<Hop> {
  const { policy, facts, limits } = components
  const target = policy.targets(peer.peerId, peer.addresses)
  if (target.length === 0 || !policy.spend(owner, peer.peerId, target))
    throw new RequestError('REFUSED', 'this node does not dial its addresses for a client')
  const init = { peer: target, modelDigest: facts.modelDigest, from, to, maxLength, verify }
  // Who waits for room while its own is waited for may wait for ever: a route has room at once, or has to be asked again.
  const queued = new AbortController()
  const options = { signal: AbortSignal.any([signal, queued.signal]), onQueued: () => queued.abort() }
  const patience = { maxTensorBytes: limits.creditBytes, resumeMs: () => RESUME_MS }
  const opening = openSession(components, { ...init, ...patience }, options)
  const session = await opening.catch((thrown: unknown) => {
    throw queued.signal.aborted ? new BusyError('it has no room now', RETRY_MS) : thrown
  })
  return { server: { peerId: peer.peerId, target, from, to, pingMs: 0 }, session, pushed: false }
}

function pushTarget({ server, session }: Hop): { peerId: string; addresses: string[]; pushKey: Uint8Array } {
  return { peerId: server.peerId, addresses: [...server.target], pushKey: session.opened.pushKey }
}

function routeFailed(peerId: string, thrown: unknown): RequestError {
  const { message, code, details } = toAndthenError(thrown)
  const busy = code === 'BUSY' ? { retryAfterMs: details['retryAfterMs'] ?? RETRY_MS } : {}
  return new RequestError('ROUTE_FAILED', `server ${peerId} of the route failed: ${message}`, {
    retryable: true,
    details: { peer: peerId, cause: code, ...busy }
  })
}
