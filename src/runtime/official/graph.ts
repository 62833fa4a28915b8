import { Worker } from 'node:worker_threads'
import { type GraphCall, type GraphPlan, type LoadedGraph, type Port, portBytes, shapeOf } from '../binding.ts'
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
  readonly replays = false
  readonly #worker: Worker
  readonly #plan: GraphPlan
  readonly #memory: PortMemory
  /** In the order in which the worker answers. */
  readonly #waiting: Waiting[] = []
  #inFlight: Promise<unknown> = Promise.resolve()
  #failure: Error | undefined

  private constructor(worker: Worker, plan: GraphPlan, memory: PortMemory) {
    this.#worker = worker
    this.#plan = plan
    this.#memory = memory
    worker.on('message', (answer: WorkerAnswer) => this.#settle(answer))
    worker.on('error', error => this.#fail(error))
    worker.on('exit', () => this.#fail(new Error('the worker thread of onnxruntime-node ended')))
  }

  static async load(packagePath: string, plan: GraphPlan, signal?: AbortSignal): Promise<OfficialGraph> {
    throwIfCancelled(signal, 'loading the graph')
    if (plan.slab !== undefined && plan.slab.type !== 'f32') {
      throw new RuntimeLoadError(
        `onnxruntime-node's own binding runs graphs in f32, and this one is in ${plan.slab.type}`
      )
    }
    const memory = new Map([...plan.inputs, ...plan.outputs].map(port => [port.name, sharedMemory(port)]))
    const worker = new Worker(`(${workerMain.toString()})(require)`, {
      eval: true,
      execArgv: [],
      workerData: workerInit(packagePath, plan, memory)
    })
    const graph = new OfficialGraph(worker, plan, memory)
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

  memoryOf(port: string): SharedArrayBuffer {
    return memoryIn(this.#memory, port)
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

type PortMemory = ReadonlyMap<string, SharedArrayBuffer>

function sharedMemory({ type, elements }: Port): SharedArrayBuffer {
  return new SharedArrayBuffer(elements * portBytes[type])
}

function memoryIn(memory: PortMemory, port: string): SharedArrayBuffer {
  const found = memory.get(port)
  if (found === undefined) throw new RangeError(`the graph has no port ${port}`)
  return found
}

function workerInit(
  packagePath: string,
  { graph, inputs, outputs, slab, threads }: GraphPlan,
  memory: PortMemory
): WorkerInit {
  const workerPort = ({ name, type }: Port) => ({ name, type, memory: memoryIn(memory, name) })
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
