import type { SpanGraph } from '../model/index.ts'
import { type Binding, type GraphCall, type LoadedGraph, type Slab, slabBytes, tokenBytes } from './binding.ts'
import { throwIfCancelled } from './cancelled.ts'
import {
  DeviceLostError,
  LengthExceededError,
  PositionError,
  RunInputError,
  RunnerBusyError,
  RunnerClosedError,
  RuntimeLoadError,
  SlotBusyError,
  SlotError
} from './errors.ts'
import { Slots } from './slots.ts'
import { type Staging, stagingOf } from './staging.ts'
import type { RunOptions, RuntimeInfo, SpanRun, SpanRunner } from './types.ts'

export interface SlabRunnerInit {
  readonly slots: number
  readonly maxLength: number
  readonly chunkTokens: number
  readonly threads: number
  readonly onLost?: (error: DeviceLostError) => void
}

/**
 * A span over one slab. A prefill runs its row alone: GroupQueryAttention takes several tokens with a past only at
 * batch 1. A decode runs the window of rows from its first slot to its last as one batch. A row in between that is not
 * part of the call is a null row: it computes one token of nothing, and writes it where its cache ends, so that whatever
 * it wrote is overwritten by the row's own next run. That is why a row has room for one token more than `maxLength`.
 */
export class SlabRunner implements SpanRunner {
  readonly runtime: RuntimeInfo
  readonly hiddenSize: number
  readonly slots: number
  readonly maxLength: number
  readonly chunkTokens: number
  readonly memoryBytes: { readonly weights: number; readonly kv: number }

  readonly #graph: LoadedGraph
  readonly #slots: Slots
  readonly #hidden: Float32Array
  readonly #hiddenOut: Float32Array
  readonly #seqlens: Int32Array
  readonly #total: Int32Array
  readonly #tokenBytes: number
  readonly #onLost: SlabRunnerInit['onLost']
  #running: readonly SpanRun[] | undefined
  /** The run in flight; never rejects. */
  #inFlight: Promise<unknown> = Promise.resolve()
  /** Slots whose state is being copied, and when that is done. */
  readonly #moving = new Map<number, Promise<unknown>>()
  #closed: Promise<void> | undefined

  private constructor(graph: LoadedGraph, memory: Staging, init: SlabRunnerInit, info: Info) {
    this.runtime = info.runtime
    this.hiddenSize = info.hiddenSize
    this.memoryBytes = info.memoryBytes
    this.#tokenBytes = info.tokenBytes
    this.slots = init.slots
    this.maxLength = init.maxLength
    this.chunkTokens = init.chunkTokens
    this.#onLost = init.onLost
    this.#graph = graph
    this.#slots = new Slots(init.slots, init.maxLength)
    this.#hidden = memory.hidden
    this.#hiddenOut = memory.hiddenOut
    this.#seqlens = memory.seqlens
    this.#total = memory.total
  }

  static async load(
    binding: Binding,
    runtime: RuntimeInfo,
    graph: SpanGraph,
    init: SlabRunnerInit,
    signal?: AbortSignal
  ): Promise<SlabRunner> {
    checkSizes(graph, init)
    const { hiddenSize } = graph
    const slab: Slab = { layers: graph.kv, rows: init.slots, capacity: init.maxLength + 1, type: graph.compute }
    const most = Math.max(init.slots, init.chunkTokens) * hiddenSize
    const hidden = { type: 'float32', dimensions: ['rows', 'tokens', hiddenSize], elements: most } as const
    const loaded = await binding.load(
      {
        graph,
        slab,
        threads: init.threads,
        inputs: [
          { ...hidden, name: 'hidden' },
          { name: 'seqlens_k', type: 'int32', dimensions: ['rows'], elements: init.slots },
          { name: 'total_sequence_length', type: 'int32', dimensions: [], elements: 1 }
        ],
        outputs: [{ ...hidden, name: 'hidden_out' }]
      },
      signal
    )
    const memoryBytes = { weights: graph.weightBytes, kv: slabBytes(slab) }
    return new SlabRunner(loaded, stagingOf(loaded), init, {
      runtime,
      hiddenSize,
      memoryBytes,
      tokenBytes: tokenBytes(slab)
    })
  }

  async prefill(run: SpanRun, options: RunOptions = {}): Promise<void> {
    this.#checkIdle()
    const tokens = run.input.length / this.hiddenSize
    this.#check(run, tokens)
    if (tokens > this.chunkTokens) {
      const message = `${tokens} tokens are more than the ${this.chunkTokens} that one prefill takes: cut them`
      throw new LengthExceededError(message, this.chunkTokens)
    }
    this.#hidden.set(run.input)
    this.#seqlens[0] = run.position + tokens - 1
    this.#total[0] = this.#totalOf(run.position + tokens, tokens)
    await this.#run([run], { first: run.slot, rows: 1, tokens }, options.signal)
  }

  async decode(runs: readonly SpanRun[], options: RunOptions = {}): Promise<void> {
    this.#checkIdle()
    for (const run of runs) this.#check(run, 1)
    checkDistinct(runs)
    const first = runs.reduce((least, { slot }) => Math.min(least, slot), this.slots)
    const last = runs.reduce((most, { slot }) => Math.max(most, slot), -1)
    if (last === -1) throw new RunInputError('a decode without a run')
    const rows = last - first + 1
    this.#fillWindow(runs, first, rows)
    await this.#run(runs, { first, rows, tokens: 1 }, options.signal)
  }

  length(slot: number): number {
    return this.#slots.length(slot)
  }

  rewind(slot: number, length: number): void {
    this.#checkNotRunning(slot)
    this.#slots.rewind(slot, length)
  }

  release(slot: number): void {
    this.#checkNotMoving(slot)
    this.rewind(slot, 0)
  }

  async save(slot: number): Promise<Uint8Array> {
    this.#checkOpen()
    this.#checkNotRunning(slot)
    this.#checkNotMoving(slot)
    const tokens = this.length(slot)
    return this.#move(slot, () => this.#graph.save(slot, tokens))
  }

  async load(slot: number, state: Uint8Array): Promise<void> {
    this.#checkOpen()
    this.#checkNotRunning(slot)
    this.#checkNotMoving(slot)
    const length = this.length(slot)
    if (length > 0) throw new PositionError(`slot ${slot} holds ${length} tokens: release it first`, slot, length)
    const tokens = state.byteLength / this.#tokenBytes
    if (!Number.isInteger(tokens) || tokens > this.maxLength) {
      throw new RunInputError(`${state.byteLength} bytes are no state of up to ${this.maxLength} tokens of this span`)
    }
    // Grown before it is filled, so that a null row writes beyond the tokens; the run in flight does not know yet.
    this.#slots.grow(slot, tokens)
    try {
      await this.#move(slot, () => this.#inFlight.then(() => this.#graph.load(slot, tokens, state)))
    } catch (error) {
      this.#slots.rewind(slot, 0)
      throw error
    }
  }

  close(): Promise<void> {
    this.#closed ??= Promise.allSettled(this.#moving.values()).then(() => this.#graph.close())
    return this.#closed
  }

  async #move<T>(slot: number, copy: () => Promise<T>): Promise<T> {
    const moving = copy()
    this.#moving.set(slot, moving)
    try {
      return await moving
    } finally {
      this.#moving.delete(slot)
    }
  }

  #fillWindow(runs: readonly SpanRun[], first: number, rows: number): void {
    const { hiddenSize } = this
    let longest = 0
    for (let row = 0; row < rows; row++) {
      const length = this.#slots.length(first + row)
      this.#seqlens[row] = length
      longest = Math.max(longest, length)
    }
    this.#total[0] = this.#totalOf(longest + 1, 1)
    if (rows > runs.length) this.#hidden.fill(0, 0, rows * hiddenSize)
    for (const run of runs) this.#hidden.set(run.input, (run.slot - first) * hiddenSize)
  }

  /** Of a run's rows the longest, new tokens included: or any bound of it, since each row's own length is in `seqlens`. */
  #totalOf(longest: number, tokens: number): number {
    return this.#graph.replays && tokens === 1 ? this.maxLength + 1 : longest
  }

  async #run(runs: readonly SpanRun[], call: GraphCall, signal: AbortSignal | undefined): Promise<void> {
    throwIfCancelled(signal, 'the run')
    const terminate = (): void => this.#graph.terminate()
    signal?.addEventListener('abort', terminate)
    this.#running = runs
    try {
      const run = this.#graph.run(call)
      this.#inFlight = run.catch(() => undefined)
      await run
    } catch (error) {
      if (error instanceof DeviceLostError) this.#onLost?.(error)
      throwIfCancelled(signal, 'the run')
      throw error
    } finally {
      this.#running = undefined
      signal?.removeEventListener('abort', terminate)
    }
    // Also when the run was faster than its termination: an aborted run never counts.
    throwIfCancelled(signal, 'the run')
    const size = call.tokens * this.hiddenSize
    for (const run of runs) {
      const start = (run.slot - call.first) * size
      run.output.set(this.#hiddenOut.subarray(start, start + size))
      this.#slots.grow(run.slot, call.tokens)
    }
  }

  #checkOpen(): void {
    if (this.#closed !== undefined) throw new RunnerClosedError()
  }

  #checkIdle(): void {
    this.#checkOpen()
    if (this.#running !== undefined) throw new RunnerBusyError()
  }

  #checkNotRunning(slot: number): void {
    if (this.#running?.some(run => run.slot === slot)) throw new SlotBusyError(slot)
  }

  #checkNotMoving(slot: number): void {
    if (this.#moving.has(slot)) throw new SlotBusyError(slot)
  }

  #check(run: SpanRun, tokens: number): void {
    const { input, output } = run
    if (!Number.isInteger(tokens) || tokens < 1 || input.length !== tokens * this.hiddenSize) {
      throw new RunInputError(`${input.length} input values are not ${tokens} tokens of ${this.hiddenSize}`)
    }
    if (output.length !== input.length) {
      throw new RunInputError(`the output has room for ${output.length} values and the input has ${input.length}`)
    }
    this.#checkNotMoving(run.slot)
    this.#slots.checkRun(run.slot, run.position, tokens)
  }
}

function checkDistinct(runs: readonly SpanRun[]): void {
  for (let i = 1; i < runs.length; i++) {
    const slot = runs[i]?.slot ?? -1
    for (let j = 0; j < i; j++) {
      if (runs[j]?.slot === slot) throw new SlotError(`slot ${slot} is named twice in one decode`, slot)
    }
  }
}

function checkSizes(graph: SpanGraph, { slots, maxLength, chunkTokens, threads }: SlabRunnerInit): void {
  for (const [name, value] of Object.entries({ slots, maxLength, chunkTokens, threads })) {
    if (Number.isInteger(value) && value > 0) continue
    throw new RuntimeLoadError(`${name} is ${value}: it must be a whole number above 0`)
  }
  if (maxLength <= graph.maxLength) return
  const message = `slots of ${maxLength} tokens do not fit a graph of ${graph.maxLength}: build it for as many`
  throw new RuntimeLoadError(message, { details: { maxLength, graph: graph.maxLength } })
}

interface Info {
  readonly runtime: RuntimeInfo
  readonly hiddenSize: number
  readonly memoryBytes: { readonly weights: number; readonly kv: number }
  readonly tokenBytes: number
}
