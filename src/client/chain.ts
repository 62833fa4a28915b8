import { type AndthenError, CancelledError, toAndthenError } from '../base/index.ts'
import {
  awaitMismatch,
  Boundaries,
  type Fault,
  type KeptInputs,
  type PassInput,
  type PassTrace,
  Pipeline,
  Watchdog
} from '../inference/index.ts'
import { verifySignature } from '../network/index.ts'
import type { EquivocationProof, Pushes } from '../wire/index.ts'
import { type BuiltChain, ChainBuilder, type ChainBuilderComponents, type ChainBuilderInit } from './chain-builder.ts'
import { PREFILL_TOKENS, SETTLE_MS } from './constants.ts'
import { traceByServer } from './delegated-trace.ts'
import type { Candidate } from './directory.ts'
import type { Hop } from './hop.ts'
import { Judge } from './judge.ts'

export type ChainComponents = Omit<ChainBuilderComponents, 'boundaries' | 'judge'>
export type ChainInit = ChainBuilderInit & { readonly hiddenSize: number }

export interface PassResult {
  /** The last token's hidden states, float32 [hidden] little-endian; null where none were wanted. */
  readonly tensor: Uint8Array | null
  readonly trace: PassTrace
}

/** What a chain did, when it is closed. */
export interface ChainReport {
  /** What became of pushes at their receivers. */
  readonly pushes: Pushes
  /** Tokens, the least of all servers. */
  readonly committed: number
  readonly replays: number
  /** Sessions that went on over another connection. */
  readonly resumes: number
  readonly proofs: readonly EquivocationProof[]
}

interface Job {
  readonly input: PassInput
  emitted: boolean
  /** Of the run that gave the result last. */
  trace: PassTrace | null
  resolve(result: PassResult): void
  reject(error: AndthenError): void
}

/**
 * A fault-tolerant session over the spans of a chain: passes go in, results come out in order, whatever becomes of single
 * servers. A server that fails is replaced, what its place had seen is replayed, and passes under way run again.
 *
 *     run ──▶ jobs ──window──▶ pipeline (one epoch) ──emit──▶ result
 *               ▲                  │ fault
 *               └── builder ◀──────┘ judge, choose, open, rewind, replay
 */
export class Chain {
  /** Traces of passes that are done, the oldest first. */
  readonly traces: PassTrace[] = []
  readonly #components: ChainBuilderComponents
  readonly #builder: ChainBuilder
  readonly #boundaries: Boundaries
  readonly #inputs: KeptInputs
  readonly #watchdog: Watchdog
  readonly #verify: ChainInit['verify']
  readonly #shutdown = new AbortController()
  #pipeline: Pipeline<Candidate> | null = null
  /** Passes that are not retired; the first has step number `#base` in this epoch, the first `#started` are under way. */
  readonly #jobs: Job[] = []
  #base = 0
  #started = 0
  #window = 1
  #servers: readonly Candidate[] = []
  #failure: AndthenError | null = null
  #closed: Promise<ChainReport> | null = null
  #onSettled: () => void = () => undefined

  private constructor(components: ChainComponents, init: ChainInit) {
    this.#boundaries = new Boundaries(init.hiddenSize * Float32Array.BYTES_PER_ELEMENT)
    this.#inputs = this.#boundaries.at(0)
    const judge = new Judge({ ...components, verify: verifySignature })
    this.#components = { ...components, boundaries: this.#boundaries, judge }
    this.#builder = new ChainBuilder(this.#components, init)
    this.#watchdog = new Watchdog(components, init)
    this.#verify = init.verify
  }

  /**
   * Opens sessions on servers that tile the model.
   *
   * @throws BlocksNotCoveredError, why a server could not be used, CancelledError
   */
  static async open(components: ChainComponents, init: ChainInit, options: { signal: AbortSignal }): Promise<Chain> {
    const chain = new Chain(components, init)
    try {
      chain.#begin(await chain.#builder.build(0, options.signal))
      return chain
    } catch (error) {
      await chain.#builder.close()
      throw error
    }
  }

  /** The servers in use, in order; of the last chain that stood. */
  get servers(): readonly Candidate[] {
    return this.#servers
  }

  /** Memory for the hidden states of the next `n` tokens, float32 [n, hidden]; to be filled before `run`. */
  reserve(n: number): Float32Array {
    const bytes = this.#inputs.reserve(n)
    return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / Float32Array.BYTES_PER_ELEMENT)
  }

  /**
   * Runs what was reserved last through the chain. Several passes may be under way.
   *
   * @param want `last`: the last token's hidden states; `none`: only its place in the KV caches
   * @throws BlocksNotCoveredError, CancelledError
   */
  run(hidden: Float32Array, want: PassInput['want']): Promise<PassResult> {
    const input = new Uint8Array(hidden.buffer, hidden.byteOffset, hidden.byteLength)
    const n = input.length / this.#boundaries.rowBytes
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) {
        reject(this.#failure)
        return
      }
      const position = this.#inputs.length
      this.#inputs.keep(input)
      this.#jobs.push({ input: { position, n, input, want }, emitted: false, trace: null, resolve, reject })
      this.#pump()
    })
  }

  /** Waits a moment for the last proofs, then ends all sessions. */
  close(): Promise<ChainReport> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<ChainReport> {
    if (this.#failure === null && this.#jobs.every(({ emitted }) => emitted)) await this.#settled()
    this.#fail(new CancelledError('the chain'))
    this.#shutdown.abort()
    const committed = await this.#builder.close()
    const { pushes, replays, resumes } = this.#builder
    return { pushes, committed, replays, resumes, proofs: this.#components.judge.proofs }
  }

  async #settled(): Promise<void> {
    if (this.#jobs.length === 0) return
    await new Promise<void>(resolve => {
      const cancel = this.#components.clock.after(SETTLE_MS, resolve)
      this.#onSettled = () => {
        cancel()
        resolve()
      }
    })
  }

  #begin({ hops, servers, epoch }: BuiltChain): void {
    const { clock, digest } = this.#components
    const events = {
      onEmit: this.#onEmit,
      onRetire: this.#onRetire,
      onProgress: () => this.#watchdog.progress(),
      onFault: (fault: Fault) => void this.#repair(hops, fault)
    }
    this.#servers = servers
    this.#window = Math.min(...hops.map(hop => windowOf(hop, this.#boundaries.rowBytes)))
    this.#base = 0
    this.#started = 0
    this.#pipeline = new Pipeline(
      { clock, digest, boundaries: this.#boundaries, events },
      { hops, epoch, verify: this.#verify }
    )
    this.#watchdog.watch(this.#pipeline)
    this.#pipeline.begin()
    this.#pump()
  }

  /** Starts as many passes as may be under way. */
  #pump(): void {
    for (;;) {
      const job = this.#jobs[this.#started]
      if (this.#pipeline === null || job === undefined || this.#started >= this.#window) break
      this.#started++
      this.#pipeline.start(job.input)
      this.#watchdog.progress()
    }
  }

  readonly #onEmit = (step: number, tensor: Uint8Array | null, trace: PassTrace): void => {
    const job = this.#jobs[step - this.#base]
    if (job === undefined) return
    job.trace = traceByServer(trace)
    // What ran again after a repair was given out before.
    if (job.emitted) return
    job.emitted = true
    if (trace.n === 1) this.#watchdog.passed(this.#components.clock.now() - trace.startedMs)
    job.resolve({ tensor, trace: job.trace })
  }

  readonly #onRetire = (): void => {
    this.#builder.worked(this.#servers)
    const trace = this.#jobs.shift()?.trace
    this.#base++
    this.#started--
    if (trace != null) this.traces.push(trace)
    if (this.#jobs.length === 0) this.#onSettled()
    this.#pump()
  }

  /** Replaces what failed and goes on where the first pass is not done. */
  async #repair(hops: readonly Hop[], fault: Fault): Promise<void> {
    if (this.#failure !== null) return
    this.#pipeline = null
    this.#watchdog.watch(null)
    try {
      await this.#judge(hops, fault)
      const position = this.#jobs[0]?.input.position ?? this.#inputs.length
      const built = await this.#builder.build(position, this.#shutdown.signal)
      if (this.#failure === null) this.#begin(built)
    } catch (error) {
      this.#fail(toAndthenError(error))
    }
  }

  async #judge(hops: readonly Hop[], fault: Fault): Promise<void> {
    const { judge, clock } = this.#components
    if (fault.kind === 'server') {
      this.#builder.failed(hops[fault.server]?.server.peerId ?? '', fault.error, this.#servers)
      return
    }
    const [upstream, downstream] = [hops[fault.upstream], hops[fault.downstream]]
    if (upstream === undefined || downstream === undefined) return
    const { output } = fault
    const mismatch = fault.mismatch ?? (await awaitMismatch(downstream.session, clock))
    judge.disagreed(
      { upstream: upstream.server.peerId, downstream: downstream.server.peerId },
      { told: output === null ? undefined : (output.receipts[0] ?? null), pushed: mismatch?.upstreamReceipt ?? null }
    )
  }

  #fail(error: AndthenError): void {
    this.#failure ??= error
    this.#pipeline = null
    this.#watchdog.watch(null)
    for (const job of this.#jobs.splice(0)) job.reject(error)
    this.#onSettled()
  }
}

/** Passes that one server lets be under way. */
function windowOf({ session }: Hop, rowBytes: number): number {
  const { credit, maxTentative } = session.opened
  return Math.max(1, Math.min(credit.steps, maxTentative, Math.floor(credit.bytes / (PREFILL_TOKENS * rowBytes))))
}
