import { type Clock, TimeoutError, toAndthenError } from '../../base/index.ts'
import type { Network } from '../../network/index.ts'
import { NEEDED_PING_MS, SUSPECT_PING_MS } from './constants.ts'
import { PassWatch } from './pass-watch.ts'
import type { ChainPeer, Pipeline } from './pipeline.ts'

export interface WatchdogInit {
  readonly stepTimeoutMs: number
  /** No other server could take its place. @default others could */
  readonly isNeeded?: (peerId: string) => boolean
}

/** Tells a server that computes from one that is gone: by its answer to a ping, when a pass takes unusually long. */
export class Watchdog {
  readonly #clock: Clock
  readonly #network: Pick<Network, 'ping'>
  readonly #watch: PassWatch
  readonly #stepTimeoutMs: number
  readonly #isNeeded: (peerId: string) => boolean
  #pipeline: Pipeline<ChainPeer> | null = null
  #cancel: (() => void) | null = null

  constructor(components: { clock: Clock; network: Pick<Network, 'ping'> }, init: WatchdogInit) {
    this.#clock = components.clock
    this.#network = components.network
    this.#watch = new PassWatch(init)
    this.#stepTimeoutMs = init.stepTimeoutMs
    this.#isNeeded = init.isNeeded ?? (() => false)
  }

  /** From now on watches this epoch; null: nothing. */
  watch(pipeline: Pipeline<ChainPeer> | null): void {
    this.#pipeline = pipeline
    this.#disarm()
    if (pipeline !== null) this.#arm()
  }

  /** A pass started, or something came of one. */
  progress(): void {
    this.#watch.progress(this.#clock.now())
    this.#arm()
  }

  /** A pass of one token took this long. */
  passed(ms: number): void {
    this.#watch.passed(ms)
  }

  /** One alarm, set anew only when it rings: a token costs no timer. */
  #arm(): void {
    if (this.#cancel !== null || this.#pipeline?.waitingFor == null) return
    const now = this.#clock.now()
    this.#cancel = this.#clock.after(Math.max(0, this.#watch.deadline - now), () => void this.#check())
  }

  #disarm(): void {
    this.#cancel?.()
    this.#cancel = null
  }

  async #check(): Promise<void> {
    const pipeline = this.#pipeline
    const waiting = pipeline?.waitingFor ?? null
    const hop = waiting === null ? undefined : pipeline?.hops[waiting.server]
    if (pipeline !== null && waiting !== null && hop !== undefined) {
      const { server, session } = hop
      // One whose connection was lost is looked for already, and cannot have said anything meanwhile.
      const overtaken = waiting.overtaken && !session.away
      const quiet = this.#watch.check(this.#clock.now(), { overtaken, pingMs: server.pingMs })
      if (quiet === 'failed') pipeline.fail(waiting.server, this.#late(server))
      if (quiet === 'suspect' && !session.away) await this.#ping(pipeline, waiting.server, server)
      // It lives: it has as much time again. If another epoch began meanwhile, an alarm of its own is set.
      if (quiet !== 'fine') this.#watch.asked(this.#clock.now())
      if (this.#pipeline !== pipeline) return
    }
    this.#cancel = null
    this.#arm()
  }

  /** Where the suspect does not answer, and nothing came of the chain meanwhile either, it is gone. */
  async #ping(pipeline: Pipeline<ChainPeer>, place: number, server: ChainPeer): Promise<void> {
    const { peerId, target } = server
    const patienceMs = this.#isNeeded(peerId) ? NEEDED_PING_MS : SUSPECT_PING_MS
    const askedMs = this.#clock.now()
    const leftMs = this.#watch.leftMs(askedMs)
    try {
      await this.#network.ping(target, { timeoutMs: Math.min(patienceMs, leftMs) })
    } catch (thrown) {
      if (toAndthenError(thrown).code === 'CANCELLED' || !this.#watch.isQuietSince(askedMs)) return
      pipeline.fail(place, leftMs < patienceMs ? this.#late(server) : new TimeoutError(`ping of ${peerId}`, patienceMs))
    }
  }

  #late({ peerId }: ChainPeer): TimeoutError {
    return new TimeoutError(`step on ${peerId}`, this.#stepTimeoutMs)
  }
}
