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

/** Shapes of the inputs in their order, and the window of the slab. */
interface WorkerRun {
  readonly kind: 'run'
  readonly shapes: readonly (readonly number[])[]
  readonly first: number
  readonly rows: number
}

/** Tokens of one row out of the slab, or back into it. */
type WorkerMove = { readonly row: number; readonly tokens: number } & (
  | { readonly kind: 'save' }
  | { readonly kind: 'load'; readonly state: Uint8Array }
)

/** Calls are worked on one after the other. */
export type WorkerCall = WorkerRun | WorkerMove

/** Answers, in order: one once the graph is loaded, then one a call. */
export interface WorkerAnswer {
  /** What went wrong. */
  readonly error?: string
  /** What `save` gave. */
  readonly state?: Uint8Array
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

  const run = async (session: InferenceSession, call: WorkerRun): Promise<void> => {
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

  const move = (call: WorkerMove): Uint8Array => {
    const tokenElements = slab.reduce((sum, { shape }) => sum + 2 * (shape[0] ?? 0) * (shape[2] ?? 0), 0)
    const state = call.kind === 'load' ? call.state : new Uint8Array(4 * call.tokens * tokenElements)
    let at = 0
    for (const { key, value, row, shape } of slab) {
      const [heads = 0, capacity = 0, headDim = 0] = shape
      for (const cache of [key, value]) {
        for (let head = 0; head < heads; head++) {
          const start = call.row * row + head * capacity * headDim
          const strip = new Uint8Array(cache.buffer, 4 * start, 4 * call.tokens * headDim)
          const place = state.subarray(at, at + strip.length)
          if (call.kind === 'load') strip.set(place)
          else place.set(strip)
          at += strip.length
        }
      }
    }
    return state
  }

  const loading = ort.InferenceSession.create(init.bytes, init.options)
  let last: Promise<unknown> = Promise.resolve()
  const answer = (work: () => Promise<WorkerAnswer>): void => {
    last = last.then(work).then(
      given => parentPort?.postMessage(given, given.state === undefined ? [] : [given.state.buffer as ArrayBuffer]),
      (error: unknown) => parentPort?.postMessage({ error: String(error) } satisfies WorkerAnswer)
    )
  }
  answer(async () => {
    await loading
    return {}
  })
  parentPort?.on('message', (call: WorkerCall) =>
    answer(async () => {
      const session = await loading
      if (call.kind === 'save') return { state: move(call) }
      if (call.kind === 'load') move(call)
      else await run(session, call)
      return {}
    })
  )
}
