import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CancelledError, UsageError } from '../base/index.ts'
import { type BlockRange, type Model, openModel } from '../model/index.ts'
import { Child } from './child.ts'
import type { ClientCalls, ConnectedChain } from './client/client-calls.ts'
import { type LinkMeasurement, measureLink } from './lab/measure.ts'
import type { LinkShape } from './lab/shape.ts'
import { Nodes } from './nodes.ts'
import { plotSteps } from './plot.ts'
import { programUrl } from './program.ts'
import {
  type BenchReport,
  createReport,
  foreignCongestionControl,
  type LinkReport,
  loopbackCongestionControl,
  relayCongestionControl
} from './report.ts'
import { createRng } from './rng.ts'
import { SamplesFile } from './samples.ts'

export interface LaboratoryInit {
  /** Node's arguments that start `serve`: the program, and what all servers are given. */
  readonly serve: readonly string[]
  /** The model's folder. */
  readonly model: string
  /** Running servers to measure. @default servers of its own, one a span */
  readonly peers?: readonly string[] | undefined
  /** Of own servers. */
  readonly spans: readonly BlockRange[]
  /** Of the links to own servers; null: plain loopback. */
  readonly shape: LinkShape | null
  /** @default 8 */
  readonly maxSessions?: number
  readonly seed: number
  /** Where samples, the report and its plot go. @default nowhere */
  readonly out?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** A server of the laboratory's own: where peers reach it, the base URL of its admin port, its process. */
export interface LaboratoryServer {
  readonly address: string
  readonly admin: string
  readonly pid: number
}

type Findings = Pick<BenchReport, 'command' | 'results' | 'criteria'>

/** Servers, links and a client's process, set up for one benchmark. */
export class Laboratory {
  readonly model: Model
  readonly client = new Child<ClientCalls>("the client's process", programUrl('client/client-process', import.meta.url))
  readonly samples: SamplesFile | null
  readonly #init: LaboratoryInit
  readonly #nodes: Nodes | null
  readonly #startedAt = new Date().toISOString()
  readonly #before: LinkMeasurement | null

  private constructor(
    init: LaboratoryInit,
    parts: { model: Model; nodes: Nodes | null; samples: SamplesFile | null; before: LinkMeasurement | null }
  ) {
    this.#init = init
    this.model = parts.model
    this.samples = parts.samples
    this.#nodes = parts.nodes
    this.#before = parts.before
    init.signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Sets up, works, and takes down whatever became of the work. @throws what `work` throws, CancelledError */
  static async with<T>(init: LaboratoryInit, work: (laboratory: Laboratory) => Promise<T>): Promise<T> {
    const model = await openModel(init.model)
    const samples = init.out === undefined ? null : await SamplesFile.create(init.out)
    const nodes = init.peers === undefined ? await Nodes.start(init) : null
    try {
      const before = nodes === null ? null : await measureLink(nodes.link)
      const laboratory = new Laboratory(init, { model, nodes, samples, before })
      try {
        return await work(laboratory)
      } catch (error) {
        throw init.signal?.aborted === true ? new CancelledError('the benchmark', { cause: error }) : error
      } finally {
        init.signal?.removeEventListener('abort', laboratory.#onAbort)
        await laboratory.client.close()
      }
    } finally {
      await nodes?.close()
      await samples?.close()
    }
  }

  /** Connects the client to its own servers of these numbers, or to the peers that were given. */
  connect(servers?: readonly number[]): Promise<ConnectedChain> {
    const own = this.#nodes?.peers ?? []
    const peers = this.#init.peers ?? servers?.flatMap(i => own[i] ?? []) ?? own
    // One thread, as each server has: they share the machine's cores.
    return this.client.ask('connect', { model: this.#init.model, peers, threads: 1 })
  }

  /** Its own server of this number, in the order of the spans. */
  server(number: number): LaboratoryServer {
    const server = this.#nodes?.servers[number]
    if (server === undefined) throw new UsageError(`the laboratory has no server ${number}`)
    return server
  }

  /** Token ids by seed: what is in a prompt does not change what it takes. */
  prompt(tokens: number): number[] {
    const rng = createRng(this.#init.seed)
    return Array.from({ length: tokens }, () => rng.integer(this.model.spec.vocabSize))
  }

  /** D before and as of now; null over links of others. */
  async measureLinks(): Promise<LinkReport['measured']> {
    if (this.#nodes === null || this.#before === null) return null
    return { before: this.#before, after: await measureLink(this.#nodes.link) }
  }

  /** The report with all that was found, written to the folder, if there is one, with its plot. */
  async report<F extends Findings>(measured: LinkReport['measured'], findings: F): Promise<BenchReport & F> {
    const { name } = this.model
    const { shape, seed, out, peers } = this.#init
    const about = createReport({
      ...findings,
      seed,
      startedAt: this.#startedAt,
      model: { id: name, digest: Buffer.from(await this.model.digest()).toString('hex'), weights: 'f32', wire: 'f32' },
      clock: peers === undefined ? 'shared' : 'independent',
      link: {
        kind: shape === null ? 'none' : 'relay',
        nominal: shape ?? { delayMs: 0, jitterMs: 0, bandwidth: null },
        measured,
        congestionControl: this.#congestionControl
      }
    })
    const report = { ...about, ...findings }
    if (out !== undefined) {
      await writeFile(join(out, 'report.json'), `${JSON.stringify(report, null, 2)}\n`)
      await writeFile(join(out, 'steps.svg'), plotSteps(report))
    }
    return report
  }

  get #congestionControl(): string {
    if (this.#nodes === null) return foreignCongestionControl
    return this.#nodes.link === null ? loopbackCongestionControl : relayCongestionControl
  }

  readonly #onAbort = (): void => void this.client.close()
}
