import type * as Ort from 'onnxruntime-node'
import type { InferenceSession, Tensor, TypedTensor } from 'onnxruntime-node'
import type * as Threads from 'node:worker_threads'

interface WorkerPort {
  readonly name: string
  readonly type: 'float32' | 'int32' | 'int64'
  readonly memory: SharedArrayBuffer
}

interface WorkerLayer {
  readonly pastKey: string
  readonly pastValue: string
  readonly presentKey: string
  readonly presentValue: string
  /** Shape of one row. */
  readonly shape: readonly number[]
}

/** What the worker is started with. */
export interface WorkerInit {
  /** Path of onnxruntime-node. */
  readonly package: string
  readonly bytes: Uint8Array
  readonly options: InferenceSession.SessionOptions
  readonly inputs: readonly WorkerPort[]
  readonly outputs: readonly WorkerPort[]
  readonly layers: readonly WorkerLayer[]
  readonly slots: number
}

/** One run: shapes of the inputs in their order, and the window of the slab. */
export interface WorkerCall {
  readonly shapes: readonly (readonly number[])[]
  readonly first: number
  readonly rows: number
}

/** Answers, in order: one once the graph is loaded, then one a run. */
export interface WorkerAnswer {
  /** What went wrong. */
  readonly error?: string
}

/**
 * The worker's whole program. It is started from its own source text (`Function.toString`), because a worker cannot be
 * started from a TypeScript file on every Node that runs this: so it must not use anything from outside itself.
 *
 * Tensors are copied between shared memory and the worker's own, since onnxruntime-node refuses shared memory.
 */
export function workerMain(load: (name: string) => unknown): void {
  const { parentPort, workerData } = load('node:worker_threads') as typeof Threads
  const init = workerData as WorkerInit
  const ort = load(init.package) as typeof Ort
  const over = (type: WorkerPort['type'], memory: ArrayBufferLike): Float32Array | Int32Array | BigInt64Array => {
    if (type === 'float32') return new Float32Array(memory)
    return type === 'int32' ? new Int32Array(memory) : new BigInt64Array(memory)
  }
  const elements = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1)

  const inputs = init.inputs.map(({ name, type, memory }) => {
    return { name, type, shared: over(type, memory), own: over(type, new ArrayBuffer(memory.byteLength)) }
  })
  const slab = init.layers.map(layer => {
    const row = elements(layer.shape)
    return { ...layer, row, key: new Float32Array(init.slots * row), value: new Float32Array(init.slots * row) }
  })

  const run = async (session: InferenceSession, call: WorkerCall): Promise<void> => {
    const feeds: Record<string, Tensor> = {}
    const fetches: Record<string, Tensor | null> = {}
    for (const [index, { name, type, shared, own }] of inputs.entries()) {
      const shape = call.shapes[index] ?? []
      const count = elements(shape)
      own.set(shared.subarray(0, count) as never)
      feeds[name] = new ort.Tensor(type as 'float32', own.subarray(0, count) as Float32Array, [...shape])
    }
    for (const { name } of init.outputs) fetches[name] = null
    for (const layer of slab) {
      const shape = [call.rows, ...layer.shape]
      const window = (cache: Float32Array): TypedTensor<'float32'> =>
        new ort.Tensor('float32', cache.subarray(call.first * layer.row, (call.first + call.rows) * layer.row), shape)
      const key = window(layer.key)
      const value = window(layer.value)
      feeds[layer.pastKey] = key
      feeds[layer.pastValue] = value
      fetches[layer.presentKey] = key
      fetches[layer.presentValue] = value
    }
    const results = await session.run(feeds, fetches)
    for (const { name, memory } of init.outputs) new Float32Array(memory).set(results[name]?.data as Float32Array)
  }

  const answer = (work: Promise<unknown>): void => {
    work.then(
      () => parentPort?.postMessage({} satisfies WorkerAnswer),
      (error: unknown) => parentPort?.postMessage({ error: String(error) } satisfies WorkerAnswer)
    )
  }
  const loading = ort.InferenceSession.create(init.bytes, init.options)
  answer(loading)
  parentPort?.on('message', (call: WorkerCall) => answer(loading.then(session => run(session, call))))
}
