import type { AndthenError } from '../../../base/index.ts'
import type { Output, Pushes, VerifyPolicyName } from '../../../wire/index.ts'
import { RequestError, RouteMismatchError } from '../../errors.ts'
import {
  awaitMismatch,
  Boundaries,
  type Fault,
  type Hop,
  type PassTrace,
  Pipeline,
  Watchdog
} from '../../owner/index.ts'
import { openHops, rewindHops, routeFailed, type RouteComponents, type RouteInit } from './hops.ts'
import { MAX_KEPT_BYTES, underWayBytes } from './route-memory.ts'
import { RouteTraffic } from './route-traffic.ts'

/** A route that does not move for so long has failed: sooner than its owner gives up on this node. */
const STEP_TIMEOUT_MS = 20_000

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
  readonly #components: RouteComponents
  readonly #hops: readonly Hop[]
  readonly #verify: VerifyPolicyName
  readonly #boundaries: Boundaries
  readonly #watchdog: Watchdog
  readonly #waiting = new Map<number, Waiting>()
  #pipeline: Pipeline | null = null
  /** Under way. */
  #rewinding: Promise<void> | null = null
  /** The length of the epoch that is wanted, where it is not begun. */
  #rewindTo: number | null = null
  #rewindsAsked = 0
  #epoch = 0
  readonly #traffic: RouteTraffic
  #failure: AndthenError | null = null
  /** Why the route has failed, once it is known. */
  #verdict: Promise<never> | null = null
  /** Told once, when a server of the route fails. */
  onFailed: (error: AndthenError) => void = () => undefined

  private constructor(components: RouteComponents, hops: readonly Hop[], init: RouteInit) {
    this.#components = components
    this.#hops = hops
    this.#verify = init.verify
    const { bytesQuota } = init.route
    this.#traffic = new RouteTraffic({ bytesQuota, mostUnderWay: underWayBytes(init.maxLength, components) })
    this.#boundaries = new Boundaries(components.facts.hiddenSize * Float32Array.BYTES_PER_ELEMENT)
    this.#watchdog = new Watchdog(components, { stepTimeoutMs: STEP_TIMEOUT_MS })
  }

  /**
   * Opens a session on every server of the route and names to each whom it pushes to.
   *
   * @throws RequestError ROUTE_FAILED with the peer that failed
   */
  static async open(components: RouteComponents, init: RouteInit, signal: AbortSignal): Promise<DelegatedRoute> {
    const route = new DelegatedRoute(components, await openHops(components, init, signal), init)
    const end = (): void => route.end()
    try {
      signal.addEventListener('abort', end)
      if (signal.aborted) end()
      await route.rewind(0)
      return route
    } catch (error) {
      route.end()
      throw error
    } finally {
      signal.removeEventListener('abort', end)
    }
  }

  /**
   * Begins a new epoch in which all servers hold `length` tokens. Of those that are asked for while one is under way the last
   * one counts, and comes after it: a few bytes of the owner's are many to all of the others.
   *
   * @throws RequestError ROUTE_FAILED
   */
  rewind(length: number): Promise<void> {
    this.#pipeline = null
    this.#watchdog.watch(null)
    this.#drop(new RequestError('EPOCH', 'the epoch is over'))
    this.#traffic.clear()
    this.#rewindsAsked++
    this.#rewindTo = length
    this.#rewinding ??= this.#rewind()
    return this.#rewinding
  }

  async #rewind(): Promise<void> {
    try {
      while (this.#rewindTo !== null) {
        const length = this.#rewindTo
        this.#rewindTo = null
        await rewindHops(this.#components, this.#hops, { epoch: ++this.#epoch, length })
      }
      this.#begin(this.#epoch)
    } finally {
      // At once: one that is asked for from now on is not part of this.
      this.#rewinding = null
    }
  }

  /**
   * Sends what this node computed through the rest of the route.
   *
   * @param input float32 [n, hidden], unchanged from here on
   * @throws RequestError ROUTE_FAILED, QUOTA; RouteMismatchError
   */
  run(step: { position: number; n: number; want: 'last' | 'none' }, input: Uint8Array): Promise<RouteResult> {
    if (this.#verdict !== null) return this.#verdict
    if (this.#rewinding !== null) {
      // An owner that came back takes `Resumed` for the answer to its rewind, before the rest of the route has answered. Where
      // it rewinds again meanwhile, what waits here is of an epoch that is over.
      const asked = this.#rewindsAsked
      return this.#rewinding.then(() => {
        if (asked !== this.#rewindsAsked) throw new RequestError('EPOCH', 'the epoch is over')
        return this.run(step, input)
      })
    }
    return new Promise((resolve, reject) => {
      const pipeline = this.#pipeline
      if (this.#failure !== null || pipeline === null) {
        reject(this.#failure ?? new RequestError('EPOCH', 'the epoch is over'))
        return
      }
      const refusal = this.#traffic.begin(pipeline.nextStep, input.length)
      if (refusal !== null) {
        reject(refusal)
        return
      }
      this.#waiting.set(pipeline.nextStep, { resolve, reject })
      pipeline.start({ ...step, input })
      this.#watchdog.progress()
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
        this.#traffic.retire(step)
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
