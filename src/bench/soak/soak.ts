import { CancelledError, systemClock, toAndthenError } from '../../base/index.ts'
import { createRng } from '../rng.ts'
import { descriptorsOf, residentBytesOf } from './descriptors.ts'
import { FaultLog } from './fault-log.ts'
import { Flood } from './flood.ts'
import { callLedger } from './ledger-client.ts'
import { type Left, type SoakReport, soakReport } from './soak-report.ts'
import { nextAction, type SoakAction } from './schedule.ts'
import { scrape } from './scrape.ts'
import { Tally } from './tally.ts'
import type { Way } from './way.ts'
import { World } from './world.ts'

export interface SoakInit {
  /** Node's arguments that start `serve`. */
  readonly serve: readonly string[]
  readonly model: string
  readonly durationMs: number
  readonly seed: number
  /** Strangers pour garbage and forged pushes into the server all the while. */
  readonly flood: boolean
  readonly signal?: AbortSignal | undefined
  readonly onProgress: (what: string) => void
}

const WAYS = 8
const IDLE_MS = 200
const KEEP_ALIVE_MS = 1_000
/** Silence is noticed within two intervals, then two pings may take twice that each; and a busy machine's moment. */
const DEATH_MS = 8_000
/** What a reset did is felt for a moment: both ends hear of it, but not at once. */
const RESET_MS = 1_000
const CALL_TIMEOUT_MS = 10_000
/** Requests under way at once, of all clients. */
const MOST_UNDER_WAY = 24
const PACE_MS = 15
/** After the last request and the last fault all that was open must go: dead connections first, then idle ones. */
const SETTLE_MS = 30_000

/**
 * Runs a random schedule of requests, sessions, closes, resets and black holes, the same for the same seed, then holds
 * the ends to what they told each other: what was acknowledged was done, once; nothing failed that was not disturbed; and
 * nothing is left.
 *
 * @throws ProcessError when a server ends, CancelledError
 */
export async function benchSoak(init: SoakInit): Promise<SoakReport> {
  const world = await World.start({
    ...{ serve: init.serve, model: init.model },
    ...{ ways: WAYS, idleTimeoutMs: IDLE_MS, keepAliveMs: KEEP_ALIVE_MS, callTimeoutMs: CALL_TIMEOUT_MS }
  })
  try {
    return await new Soak(world, init).run()
  } finally {
    await world.close()
  }
}

class Soak {
  readonly #world: World
  readonly #init: SoakInit
  readonly #faults = new FaultLog()
  readonly #tally = new Tally()
  readonly #underWay = new Set<Promise<void>>()
  readonly #disturbing = new Set<Promise<void>>()
  readonly #began = systemClock.now()
  #lastId = 0

  constructor(world: World, init: SoakInit) {
    this.#world = world
    this.#init = init
  }

  async run(): Promise<SoakReport> {
    const { seed, durationMs, flood: floods, signal, onProgress } = this.#init
    const before = await this.#left()
    const flood = floods ? await Flood.start(this.#world.serverAddress, seed) : null
    const rng = createRng(seed)
    const schedule = { ways: this.#world.ways.length, idleTimeoutMs: IDLE_MS, deathMs: DEATH_MS }
    let told = 0
    for (;;) {
      const elapsed = systemClock.now() - this.#began
      if (elapsed >= durationMs) break
      if (signal?.aborted === true) throw new CancelledError('the soak')
      if (elapsed - told > 1_000) {
        told = elapsed
        this.#faults.forget(systemClock.now() - 2 * CALL_TIMEOUT_MS)
        onProgress(`${Math.round(elapsed / 1_000)} s of ${durationMs / 1_000} s, ${this.#tally.done} requests done`)
      }
      await this.#act(nextAction(rng, schedule))
      await pause(PACE_MS)
    }
    onProgress('letting all come to rest')
    await Promise.all(this.#disturbing)
    await Promise.all(this.#underWay)
    await flood?.stop()
    const after = await this.#rest(before)
    const { ledger } = this.#world
    return soakReport({
      ...{ seed, durationMs, tally: this.#tally, before, after },
      lost: await ledger.ask('missing', { ids: [...this.#tally.acknowledged] }),
      ledger: await ledger.ask('report', {}),
      flood: flood === null ? null : { poured: flood.poured, metrics: await scrape(this.#world.server.ready.admin) },
      serverSaid: this.#world.server.stderr
    })
  }

  async #act(action: SoakAction): Promise<void> {
    this.#tally.acted(action.kind)
    if (action.kind === 'rest') return pause(action.ms)
    const way = this.#world.ways[action.way]
    if (way === undefined) return
    switch (action.kind) {
      case 'call': {
        const payload = new Uint8Array(action.bytes).fill(action.bytes & 0xff)
        const requests = Array.from({ length: action.count }, () => ({ id: ++this.#lastId, payload }))
        const options = { timeoutMs: CALL_TIMEOUT_MS, onAck: (id: number) => void this.#tally.acknowledged.add(id) }
        return this.#begin(action.way, 'requests', () => callLedger(way.network, way.ledger, requests, options))
      }
      case 'session': {
        const options = { steps: action.steps, timeoutMs: CALL_TIMEOUT_MS, onAnswer: () => void this.#tally.steps++ }
        return this.#begin(action.way, 'session', () => this.#world.spans.call(way.network, way.spans, options))
      }
      default:
        return this.#disturb(action, way)
    }
  }

  /** Begins a request, as soon as there are few enough under way. */
  async #begin(way: number, what: string, request: () => Promise<void>): Promise<void> {
    while (this.#underWay.size >= MOST_UNDER_WAY) await Promise.race(this.#underWay)
    const from = systemClock.now()
    const disturbed = (): boolean => this.#faults.excuses(way, from, systemClock.now())
    const running = request()
      .then(
        () => this.#tally.succeeded(!disturbed()),
        (thrown: unknown) => {
          const at = Math.round(from - this.#began)
          const afterMs = Math.round(systemClock.now() - from)
          this.#tally.failed(thrown, disturbed(), { way, what, at, afterMs })
        }
      )
      .finally(() => this.#underWay.delete(running))
    this.#underWay.add(running)
  }

  /** Begins a fault; what takes time goes on beside what follows. */
  async #disturb(action: Exclude<SoakAction, { kind: 'call' | 'session' | 'rest' }>, way: Way): Promise<void> {
    const over = this.#faults.begin(action.way, systemClock.now())
    const end = (feltMs: number): void => over(systemClock.now(), feltMs)
    const all = async (what: (link: Way['links'][number]) => Promise<void>): Promise<void> => {
      await Promise.all(way.links.map(what))
    }
    switch (action.kind) {
      case 'reset':
        await all(link => link.reset())
        return end(RESET_MS)
      case 'halfOpen':
        await all(link => link.halfOpen(action.gone))
        return end(DEATH_MS)
      case 'leave':
        this.#meanwhile(way.leave().then(() => end(RESET_MS)))
        return
      case 'blackhole':
        await all(link => link.blackhole(action.direction))
        this.#meanwhile(
          pause(action.ms)
            .then(() => all(link => link.restore()))
            .then(() => end(DEATH_MS))
        )
    }
  }

  #meanwhile(disturbing: Promise<void>): void {
    const done = disturbing.finally(() => this.#disturbing.delete(done))
    this.#disturbing.add(done)
  }

  /** Waits until nothing is left but what was there before, or until it should have gone. */
  async #rest(before: Left): Promise<Left> {
    const giveUp = systemClock.now() + SETTLE_MS
    for (;;) {
      const left = await this.#left()
      const gone = left.connections + left.streams + left.leases + left.sessions === 0
      const closed = (['client', 'ledger', 'server'] as const).every(
        process => (left.descriptors[process] ?? 0) <= (before.descriptors[process] ?? 0)
      )
      if ((gone && closed) || systemClock.now() > giveUp) return left
      await pause(IDLE_MS)
    }
  }

  async #left(): Promise<Left> {
    const { ledger, server, ways } = this.#world
    const there = await ledger.ask('report', {})
    const metrics = await scrape(server.ready.admin).catch((thrown: unknown) => {
      throw toAndthenError(thrown)
    })
    const open = ways.map(way => way.open)
    const sum = (of: (one: Way['open']) => number): number => open.reduce((total, one) => total + of(one), 0)
    return {
      connections: sum(one => one.connections) + there.connectionsOpen + (metrics.get('andthen_connections') ?? 0),
      streams: sum(one => one.streams) + there.streamsOpen + (metrics.get('andthen_streams') ?? 0),
      leases: sum(one => one.leases) + there.leasesOpen + (metrics.get('andthen_connection_leases') ?? 0),
      sessions: metrics.get('andthen_sessions') ?? 0,
      descriptors: {
        client: await descriptorsOf(process.pid),
        ledger: there.descriptors,
        server: await descriptorsOf(server.pid)
      },
      residentBytes: { ledger: there.residentBytes, server: await residentBytesOf(server.pid) }
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
