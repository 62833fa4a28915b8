import type { KvLayer, OnnxGraph } from '../model/index.ts'

/** A dimension that is known once a graph is loaded, or one that each run chooses. */
export type Dimension = number | 'rows' | 'tokens'

/** An input or output of a graph, and the host memory that its values are read from or written to. */
export interface Port {
  readonly name: string
  readonly dimensions: readonly Dimension[]
  /** From `Binding.hostMemory`. A run uses as many leading elements as its dimensions say. */
  readonly memory: Float32Array | Int32Array | BigInt64Array
}

/** The KV cache: for each layer two tensors [rows, heads, capacity, headDim] that runs read and extend in place. */
export interface Slab {
  readonly layers: readonly KvLayer[]
  readonly rows: number
  readonly capacity: number
}

export interface GraphPlan {
  readonly graph: OnnxGraph
  readonly inputs: readonly Port[]
  readonly outputs: readonly Port[]
  readonly slab?: Slab
  readonly threads: number
}

/** One run: `rows` consecutive rows of the slab from `first`, with `tokens` new tokens each. */
export interface GraphCall {
  readonly first: number
  readonly rows: number
  readonly tokens: number
}

/** A graph in memory. Its users see to it that there is one run at a time. */
export interface LoadedGraph {
  run(call: GraphCall): Promise<void>
  /** Asks the run in flight to end early, with an error. Where the binding cannot, the run ends in its own time. */
  terminate(): void
  /**
   * Copies the first `tokens` of one row of the slab: for each layer its keys, then its values, [heads, tokens, headDim].
   * The caller keeps runs from changing them meanwhile.
   */
  save(row: number, tokens: number): Promise<Uint8Array>
  /** Puts back what `save` gave. */
  load(row: number, tokens: number, state: Uint8Array): Promise<void>
  /** Waits for the run in flight, then frees the graph and its slab. */
  close(): Promise<void>
}

export const bindingNames = ['c-api', 'official'] as const
export type BindingName = (typeof bindingNames)[number]

/** A way to reach ONNX Runtime. */
export interface Binding {
  readonly name: BindingName
  readonly device: string
  /** ONNX Runtime's version. */
  readonly version: string
  /** The shared library, or the package, that was loaded. */
  readonly library: string
  hostMemory(bytes: number): ArrayBufferLike
  load(plan: GraphPlan, signal?: AbortSignal): Promise<LoadedGraph>
}

/** The sizes of `dimensions` in `call`. */
export function shapeOf(dimensions: readonly Dimension[], call: GraphCall): number[] {
  return dimensions.map(dimension => (typeof dimension === 'number' ? dimension : call[dimension]))
}

/** Elements of one row of one tensor of the slab. */
export function rowElements(slab: Slab, layer: KvLayer): number {
  return layer.heads * slab.capacity * layer.headDim
}

/** Bytes that a token takes in a row of the slab, float32. */
export function tokenBytes(slab: Slab): number {
  return slab.layers.reduce((sum, { heads, headDim }) => sum + 2 * 4 * heads * headDim, 0)
}

/** Bytes of the whole slab, float32. */
export function slabBytes(slab: Slab): number {
  return slab.layers.reduce((sum, layer) => sum + 2 * 4 * slab.rows * rowElements(slab, layer), 0)
}
