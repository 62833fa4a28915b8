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
import { PassQueue, type PassResult } from './pass-queue.ts'

export type ChainComponents = Omit<ChainBuilderComponents, 'boundaries' | 'judge'>
export type ChainInit = ChainBuilderInit & { readonly hiddenSize: number }

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
  readonly #queue = new PassQueue()
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
    const { stepTimeoutMs } = init
    this.#watchdog = new Watchdog(components, { stepTimeoutMs, isNeeded: peerId => this.#builder.isNeeded(peerId) })
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
    if (this.#failure !== null) return Promise.reject(this.#failure)
    const position = this.#inputs.length
    this.#inputs.keep(input)
    const result = this.#queue.add({ position, n, input, want })
    this.#pump()
    return result
  }

  /** Waits a moment for the last proofs, then ends all sessions. */
  close(): Promise<ChainReport> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<ChainReport> {
    if (this.#failure === null && this.#queue.allEmitted) await this.#settled()
    this.#fail(new CancelledError('the chain'))
    this.#shutdown.abort()
    const committed = await this.#builder.close()
    const { pushes, replays, resumes } = this.#builder
    return { pushes, committed, replays, resumes, proofs: this.#components.judge.proofs }
  }

  async #settled(): Promise<void> {
    if (this.#queue.position === null) return
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
      onProgress: () => {
        this.#watchdog.progress()
        this.#builder.progress()
      },
      onFault: (fault: Fault) => void this.#repair(hops, fault)
    }
    this.#servers = servers
    this.#window = Math.min(...hops.map(hop => windowOf(hop, this.#boundaries.rowBytes)))
    this.#queue.restart()
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
    while (this.#pipeline !== null) {
      const input = this.#queue.next(this.#window)
      if (input === null) break
      this.#pipeline.start(input)
      this.#watchdog.progress()
    }
  }

  readonly #onEmit = (step: number, tensor: Uint8Array | null, trace: PassTrace): void => {
    const isFirst = this.#queue.emit(step, { tensor, trace: traceByServer(trace) })
    if (isFirst && trace.n === 1) this.#watchdog.passed(this.#components.clock.now() - trace.startedMs)
  }

  readonly #onRetire = (): void => {
    this.#builder.worked(this.#servers)
    const trace = this.#queue.retire()
    if (trace !== null) this.traces.push(trace)
    if (this.#queue.position === null) this.#onSettled()
    this.#pump()
  }

  /** Replaces what failed and goes on where the first pass is not done. */
  async #repair(hops: readonly Hop[], fault: Fault): Promise<void> {
    if (this.#failure !== null) return
    this.#pipeline = null
    this.#watchdog.watch(null)
    try {
      await this.#judge(hops, fault)
      const position = this.#queue.position ?? this.#inputs.length
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
      {
        told: output === null ? undefined : (output.receipts[0] ?? null),
        pushed: mismatch?.upstreamReceipt ?? null,
        answer: output === null ? undefined : { ...output, incarnation: upstream.session.opened.incarnation }
      }
    )
  }

  #fail(error: AndthenError): void {
    this.#failure ??= error
    this.#pipeline = null
    this.#watchdog.watch(null)
    this.#queue.fail(error)
    this.#onSettled()
  }
}

/** Passes that one server lets be under way. */
function windowOf({ session }: Hop, rowBytes: number): number {
  const { credit, maxTentative } = session.opened
  return Math.max(1, Math.min(credit.steps, maxTentative, Math.floor(credit.bytes / (PREFILL_TOKENS * rowBytes))))
}
