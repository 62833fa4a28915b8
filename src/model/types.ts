/** Blocks `from` (inclusive) to `to` (exclusive). */
export interface BlockRange {
  readonly from: number
  readonly to: number
}

/** An element type as safetensors names it; only these are read. */
export type StoredDtype = 'F32' | 'F16' | 'BF16'

/** An element type that blocks are computed in, and their KV cache is kept in. */
export type ComputeType = 'f32' | 'f16' | 'bf16'

/** An ONNX graph in memory. Its large tensors are external data: ranges of files in `folder`. */
export interface OnnxGraph {
  /** A serialized ModelProto. */
  readonly bytes: Uint8Array
  /** Absolute path that the external data locations are relative to. */
  readonly folder: string
  /** Bytes that the weights take once loaded, in the dtype that they are computed in. */
  readonly weightBytes: number
}

/** The KV cache of one block in a span's graph: the names of its four values and the shape of a slot's row. */
export interface KvLayer {
  readonly pastKey: string
  readonly pastValue: string
  readonly presentKey: string
  readonly presentValue: string
  readonly heads: number
  readonly headDim: number
}

/**
 * A span of blocks as one graph.
 * Inputs: `hidden` float32 [batch, tokens, hidden]; `seqlens_k` int32 [batch], tokens in the cache after the run minus
 * one; `total_sequence_length` int32 scalar, the largest of them plus one; for each layer past key and value
 * [batch, kvHeads, capacity, headDim] in the compute type. Outputs: `hidden_out` like `hidden`; for each layer present key and value, which
 * the runtime binds to the same memory as the past.
 */
export interface SpanGraph extends OnnxGraph {
  readonly blocks: BlockRange
  readonly hiddenSize: number
  /** Type of the KV cache, and of everything between the graph's edges. */
  readonly compute: ComputeType
  readonly kv: readonly KvLayer[]
  /** Positions that the rotary tables cover; a runner's slab may be shorter, never longer. */
  readonly maxLength: number
}

/** Token ids to hidden states. Input `token_ids` int64 [tokens]; output `hidden` float32 [tokens, hidden]. */
export interface EmbedGraph extends OnnxGraph {
  readonly hiddenSize: number
}

/** Final norm and language-model head. Input `hidden` float32 [tokens, hidden]; output `logits` float32 [tokens, vocab]. */
export interface HeadGraph extends OnnxGraph {
  readonly hiddenSize: number
  readonly vocabSize: number
}
