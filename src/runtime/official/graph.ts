import { Worker } from 'node:worker_threads'
import { type GraphCall, type GraphPlan, type LoadedGraph, type Port, shapeOf } from '../binding.ts'
import { throwIfCancelled } from '../cancelled.ts'
import { RuntimeLoadError, RuntimeRunError } from '../errors.ts'
import { sessionConfig } from '../session-config.ts'
import { type WorkerAnswer, type WorkerCall, type WorkerInit, workerMain } from './worker.ts'

interface Waiting {
  readonly resolve: (state: Uint8Array | undefined) => void
  readonly reject: (error: Error) => void
}

/** A graph in a worker thread of its own. */
export class OfficialGraph implements LoadedGraph {
  readonly #worker: Worker
  readonly #plan: GraphPlan
  /** In the order in which the worker answers. */
  readonly #waiting: Waiting[] = []
  #inFlight: Promise<unknown> = Promise.resolve()
  #failure: Error | undefined

  private constructor(worker: Worker, plan: GraphPlan) {
    this.#worker = worker
    this.#plan = plan
    worker.on('message', (answer: WorkerAnswer) => this.#settle(answer))
    worker.on('error', error => this.#fail(error))
    worker.on('exit', () => this.#fail(new Error('the worker thread of onnxruntime-node ended')))
  }

  static async load(packagePath: string, plan: GraphPlan, signal?: AbortSignal): Promise<OfficialGraph> {
    throwIfCancelled(signal, 'loading the graph')
    const worker = new Worker(`(${workerMain.toString()})(require)`, {
      eval: true,
      execArgv: [],
      workerData: workerInit(packagePath, plan)
    })
    const graph = new OfficialGraph(worker, plan)
    const cancel = (): void => void worker.terminate()
    signal?.addEventListener('abort', cancel)
    try {
      await graph.#answer()
      return graph
    } catch (cause) {
      await graph.close()
      throwIfCancelled(signal, 'loading the graph')
      throw new RuntimeLoadError(`the graph does not load: ${(cause as Error).message}`, { cause })
    } finally {
      signal?.removeEventListener('abort', cancel)
    }
  }

  async run(call: GraphCall): Promise<void> {
    const { first, rows } = call
    const shapes = this.#plan.inputs.map(port => shapeOf(port.dimensions, call))
    await this.#ask({ kind: 'run', shapes, first, rows })
  }

  async save(row: number, tokens: number): Promise<Uint8Array> {
    return (await this.#ask({ kind: 'save', row, tokens })) ?? new Uint8Array()
  }

  async load(row: number, tokens: number, state: Uint8Array): Promise<void> {
    await this.#ask({ kind: 'load', row, tokens, state })
  }

  terminate(): void {
    // onnxruntime-node ignores RunOptions.terminate.
  }

  async close(): Promise<void> {
    await this.#inFlight
    await this.#worker.terminate()
  }

  #ask(call: WorkerCall): Promise<Uint8Array | undefined> {
    const answer = this.#answer()
    this.#inFlight = answer.catch(() => undefined)
    this.#worker.postMessage(call)
    return answer
  }

  /** The worker keeps the process alive only while something waits for it. */
  #answer(): Promise<Uint8Array | undefined> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    this.#worker.ref()
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
    })
  }

  #settle({ error, state }: WorkerAnswer): void {
    const waiting = this.#waiting.shift()
    if (this.#waiting.length === 0) this.#worker.unref()
    if (error === undefined) waiting?.resolve(state)
    else waiting?.reject(new RuntimeRunError(`ONNX Runtime: ${error}`))
  }

  #fail(cause: Error): void {
    this.#failure ??= new RuntimeRunError(cause.message, { cause })
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure)
  }
}

function workerInit(packagePath: string, { graph, inputs, outputs, slab, threads }: GraphPlan): WorkerInit {
  return {
    package: packagePath,
    bytes: graph.bytes,
    options: { intraOpNumThreads: threads, graphOptimizationLevel: 'all', extra: sessionConfig(graph.folder) },
    inputs: inputs.map(workerPort),
    outputs: outputs.map(workerPort),
    layers: (slab?.layers ?? []).map(layer => ({
      ...layer,
      shape: [layer.heads, slab?.capacity ?? 0, layer.headDim]
    })),
    slots: slab?.rows ?? 0
  }
}

function workerPort({ name, memory }: Port): WorkerInit['inputs'][number] {
  const type = memory instanceof Float32Array ? 'float32' : memory instanceof Int32Array ? 'int32' : 'int64'
  return { name, type, memory: memory.buffer as SharedArrayBuffer }
}
