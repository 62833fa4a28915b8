import { type Clock, keepAlive, type Logger, silentLogger, systemClock } from '../base/index.ts'
import type { Model } from '../model/index.ts'
import type { Network } from '../network/index.ts'
import { createDigester } from '../wire/index.ts'
import { CONNECT_TIMEOUT_MS, STEP_TIMEOUT_MS, WAIT_MS } from './constants.ts'
import { type Candidate, readDirectory } from './directory.ts'
import { openEnds } from './ends.ts'
import { BlocksNotCoveredError } from './errors.ts'
import { Generation } from './generation.ts'
import { predictRoutes, type RoutePrediction } from './prediction.ts'
import { type GenerateOptions, type GenerationParts, runGeneration } from './run-generation.ts'
import { Standing } from './standing.ts'
import { chooseTiling } from './tiling.ts'

export interface ConnectComponents {
  readonly network: Network
  readonly model: Model
  /** @default silentLogger */
  readonly logger?: Logger
  /** @default systemClock */
  readonly clock?: Clock
  /** From 0 to 1; spreads out what many clients would do at the same time. @default Math.random */
  readonly random?: () => number
}

export interface ConnectInit {
  /** Servers' multiaddrs, each ending in `/p2p/<peer id>`, in any order; those that are not needed are spares. */
  readonly peers: readonly string[]
  /**
   * For asking the peers what they serve, before anything is generated. One that hangs up or does not answer is asked again
   * within that; one where nobody listens, or no way leads, or that speaks another protocol, is not. @default 10 s
   */
  readonly connectTimeoutMs?: number | undefined
  /** A server that takes longer for one step has failed. @default 30 s */
  readonly stepTimeoutMs?: number | undefined
  /**
   * For how long a generation, once it runs, waits for a server that was lost and whose place no other can take, while nothing
   * else comes of it. @default 30 s
   */
  readonly waitMs?: number | undefined
  /** That compute embedding and head. @default all cores */
  readonly threads?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Connects to servers that together serve the model: asks them for their spans, and loads embedding and head.
 *
 * @throws UsageError for bad addresses, PeerUnreachableError where nobody answers, ModelMismatchError,
 * BlocksNotCoveredError, RuntimeLoadError, CancelledError
 */
export async function connect(components: ConnectComponents, init: ConnectInit): Promise<Connection> {
  const { network, model, logger = silentLogger, clock = systemClock, random = Math.random } = components
  const { signal, connectTimeoutMs: timeoutMs = CONNECT_TIMEOUT_MS, stepTimeoutMs = STEP_TIMEOUT_MS } = init
  const { waitMs = WAIT_MS } = init
  const started = clock.now()
  const digest = await model.digest()
  const { blocks, hiddenSize } = model.spec
  const about = { name: model.name, digest, blocks }
  // Between two attempts there may be no connection.
  const { candidates, failures } = await keepAlive(
    readDirectory({ network, clock, random, logger }, { peers: init.peers, model: about, timeoutMs, signal })
  )
  const free = candidates.map(({ from, to }) => ({ from, to, cost: [] }))
  const { missing } = chooseTiling(free, blocks)
  if (missing.length > 0) throw new BlocksNotCoveredError(missing, { cause: failures[0] }, { unasked: failures.length })
  const connected = clock.now()
  const ends = await openEnds(model, { logger, threads: init.threads, signal })
  const setup = { connectMs: connected - started, loadMs: clock.now() - connected }
  const digester = createDigester({ modelDigest: digest, hiddenSize })
  const standing = new Standing({ clock, random })
  return new Connection({
    network,
    model,
    logger,
    clock,
    random,
    ends,
    standing,
    digest: digester,
    modelDigest: digest,
    candidates,
    stepTimeoutMs,
    waitMs,
    setup
  })
}

/** Servers of one model, ready to generate. Generations may run at the same time; each has sessions of its own. */
export class Connection {
  /** The servers that were found, spares included. */
  readonly servers: readonly Candidate[]
  readonly #parts: GenerationParts
  readonly #running = new Set<Generation>()

  constructor(parts: GenerationParts) {
    this.#parts = parts
    this.servers = parts.candidates
  }

  /** What each route would take over the servers that a generation would begin with, as their pings tell; sends nothing. */
  predict(): RoutePrediction[] {
    const { candidates, model } = this.#parts
    const choices = candidates.map(server => ({ ...server, cost: [1, server.pingMs] }))
    return predictRoutes(chooseTiling(choices, model.spec.blocks).chosen)
  }

  /** Starts a generation. */
  generate(options: GenerateOptions): Generation {
    const generation = new Generation(work => runGeneration(this.#parts, options, work), options.signal)
    this.#running.add(generation)
    const done = (): void => void this.#running.delete(generation)
    generation.result.then(done, done)
    return generation
  }

  /** Cancels what runs and frees the model's ends; the network stays open. */
  async close(): Promise<void> {
    const running = [...this.#running]
    for (const generation of running) generation.cancel()
    await Promise.allSettled(running.map(({ result }) => result))
    await this.#parts.ends.close()
  }
}
