import type { ComputeType, KvLayer, OnnxGraph } from '../model/index.ts'

/** A dimension that is known once a graph is loaded, or one that each run chooses. */
export type Dimension = number | 'rows' | 'tokens'

/** Element types of what a graph is fed and what it gives, and the bytes of one. */
export const portBytes = { float32: 4, int32: 4, int64: 8 } as const
export type PortType = keyof typeof portBytes

/** An input or output of a graph: `LoadedGraph.memoryOf` is the host memory that its values are read from or written to. */
export interface Port {
  readonly name: string
  readonly type: PortType
  readonly dimensions: readonly Dimension[]
  /** Room for so many. A run uses as many leading elements as its dimensions say. */
  readonly elements: number
}

/** Bytes of an element of a slab. */
export const cacheBytes: Readonly<Record<ComputeType, number>> = { f32: 4, f16: 2, bf16: 2 }

/** The KV cache: for each layer two tensors [rows, heads, capacity, headDim] that runs read and extend in place. */
export interface Slab {
  readonly layers: readonly KvLayer[]
  readonly rows: number
  readonly capacity: number
  readonly type: ComputeType
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
  /**
   * Runs of one token are recorded once for each window and replayed, with the scalars of their first time: what a graph
   * reads on the host must be the same for all of them.
   */
  readonly replays: boolean
  /** Host memory of a port, not to be used after `close`. */
  memoryOf(port: string): ArrayBufferLike
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
  /** `cpu`, `cuda:0`. */
  readonly device: string
  /** ONNX Runtime's version. */
  readonly version: string
  /** The shared library, or the package, that was loaded. */
  readonly library: string
  load(plan: GraphPlan, signal?: AbortSignal): Promise<LoadedGraph>
}

/** The sizes of `dimensions` in `call`. */
export function shapeOf(dimensions: readonly Dimension[], call: GraphCall): number[] {
  return dimensions.map(dimension => (typeof dimension === 'number' ? dimension : call[dimension]))
}

/** Bytes of one row of one tensor of the slab. */
export function rowBytes({ capacity, type }: Slab, { heads, headDim }: KvLayer): number {
  return heads * capacity * headDim * cacheBytes[type]
}

/** Bytes that a token takes in a row of the slab. */
export function tokenBytes({ layers, type }: Slab): number {
  return layers.reduce((sum, { heads, headDim }) => sum + 2 * heads * headDim * cacheBytes[type], 0)
}

/** Bytes of the whole slab. */
export function slabBytes(slab: Slab): number {
  return slab.layers.reduce((sum, layer) => sum + 2 * slab.rows * rowBytes(slab, layer), 0)
}
