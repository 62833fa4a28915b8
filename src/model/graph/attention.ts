import type { GraphBuilder } from '../onnx/builder.ts'
import type { AttentionSpec, ModelSpec } from '../spec.ts'
import type { BlockRange, ComputeType, KvLayer } from '../types.ts'
import { onnxTypeOf } from './compute.ts'
import { rotaryTables } from './rotary.ts'

/** Values that the attention of every block in a span shares, and each block's KV cache. */
export interface SpanCache {
  /** Int32 [batch]: tokens in the cache after the run, minus one. */
  readonly seqlensK: string
  /** Int32 scalar: the largest of them plus one. */
  readonly totalSequenceLength: string
  readonly rotary: Rotary
  readonly layers: ReadonlyMap<number, KvLayer>
}

/** Where queries and keys get their rotation: within the attention operator, or before it. */
interface Rotary {
  /** [positions, headDim / 2], in the type of queries and keys. */
  readonly cos: string
  readonly sin: string
  /** Int64 [batch, tokens], where the rotation is an operator of its own. */
  readonly positionIds: string | null
}

/** Projections of the hidden states, [batch, tokens, heads * headDim] each, or side by side in one. */
export type QueryKeyValue =
  | { readonly packed: string }
  | { readonly query: string; readonly key: string; readonly value: string }

// ONNX Runtime's GroupQueryAttention rotates only heads that its vector code divides evenly.
const fusedRotaryMultiple = 16

function rotatesWithin({ headDim }: AttentionSpec): boolean {
  return headDim % fusedRotaryMultiple === 0
}

/** Whether `addAttention` takes the three projections side by side. */
export function takesPacked(spec: AttentionSpec): boolean {
  return rotatesWithin(spec)
}

/** Declares a span's inputs besides the hidden states, and its rotary tables. */
export function addCache(
  graph: GraphBuilder,
  spec: ModelSpec,
  range: BlockRange,
  { maxLength, compute }: { readonly maxLength: number; readonly compute: ComputeType }
): SpanCache {
  const { kvHeads: heads, headDim } = spec.attention
  const seqlensK = graph.input('seqlens_k', 'int32', ['batch'])
  const totalSequenceLength = graph.input('total_sequence_length', 'int32', [])
  const rotary = addRotary(graph, spec, { maxLength, compute, seqlensK })
  const layers = new Map<number, KvLayer>()
  for (let block = range.from; block < range.to; block++) {
    const past = (part: string) =>
      graph.input(`blocks.${block}.past_${part}`, onnxTypeOf(compute), ['batch', heads, 'capacity', headDim])
    layers.set(block, {
      pastKey: past('key'),
      pastValue: past('value'),
      presentKey: `blocks.${block}.present_key`,
      presentValue: `blocks.${block}.present_value`,
      heads,
      headDim
    })
  }
  return { seqlensK, totalSequenceLength, rotary, layers }
}

/** One block's attention; returns [batch, tokens, heads * headDim]. */
export function addAttention(
  graph: GraphBuilder,
  cache: SpanCache,
  block: number,
  spec: AttentionSpec,
  projections: QueryKeyValue
): string {
  const layer = cache.layers.get(block)
  if (layer === undefined) throw new RangeError(`this graph has no cache for block ${block}`)
  const { rotary, seqlensK, totalSequenceLength } = cache
  const within = rotatesWithin(spec)
  const inputs = within ? inputsOf(projections) : inputsOf(rotate(graph, rotary, spec, projections))
  return graph.node(
    'GroupQueryAttention',
    [
      ...inputs,
      layer.pastKey,
      layer.pastValue,
      seqlensK,
      totalSequenceLength,
      ...(within ? [rotary.cos, rotary.sin] : [])
    ],
    [`blocks.${block}.attention`, layer.presentKey, layer.presentValue],
    {
      domain: 'com.microsoft',
      attributes: {
        num_heads: { int: spec.heads },
        kv_num_heads: { int: spec.kvHeads },
        do_rotary: { int: within ? 1 : 0 }
      }
    }
  )
}

function inputsOf(projections: QueryKeyValue): string[] {
  if ('packed' in projections) return [projections.packed, '', '']
  return [projections.query, projections.key, projections.value]
}

interface RotaryInit {
  readonly maxLength: number
  readonly compute: ComputeType
  readonly seqlensK: string
}

function addRotary(graph: GraphBuilder, spec: ModelSpec, { maxLength, compute, seqlensK }: RotaryInit): Rotary {
  const { headDim } = spec.attention
  // A null row of a full slot takes part in a decode at position `maxLength`, whose angles must exist.
  const positions = maxLength + 1
  const { cos, sin } = rotaryTables(spec.positions, headDim, positions)
  const shape = [positions, headDim / 2]
  // Rounded once, from the angles' float32 values, when ONNX Runtime folds the cast.
  const table = (name: string, values: Float32Array): string => {
    const exact = graph.constant(name, 'float32', shape, new Uint8Array(values.buffer))
    return compute === 'f32' ? exact : graph.cast(exact, onnxTypeOf(compute), `${name}.cast`)
  }
  return {
    cos: table('rotary.cos', cos),
    sin: table('rotary.sin', sin),
    positionIds: rotatesWithin(spec.attention) ? null : addPositionIds(graph, seqlensK)
  }
}

/**
 * `seqlens_k`, less the tokens that come after it in the run: the position of each of a run's tokens, int64 [batch, tokens].
 * They are counted over the hidden states themselves. What comes of a tensor's shape is computed on the host, and
 * a span whose runs are replayed on a GPU must do without (`cudaDevice`).
 */
function addPositionIds(graph: GraphBuilder, seqlensK: string): string {
  const integers = (name: string, value: bigint, shape: readonly number[] = []) =>
    graph.constant(`positions.${name}`, 'int64', shape, new Uint8Array(BigInt64Array.of(value).buffer))
  const value = graph.node('Gather', ['hidden', integers('first', 0n)], ['positions.value'], {
    attributes: { axis: { int: 2 } }
  })
  // True of any value: NaN too is as true as itself.
  const truth = graph.cast(value, 'bool', 'positions.truth')
  const one = graph.cast(graph.node('Equal', [truth, truth], ['positions.same']), 'int64', 'positions.one')
  const later = graph.node('CumSum', [one, integers('tokens', 1n)], ['positions.later'], {
    attributes: { exclusive: { int: 1 }, reverse: { int: 1 } }
  })
  const last = graph.node(
    'Unsqueeze',
    [graph.cast(seqlensK, 'int64', 'positions.last'), integers('column', 1n, [1])],
    ['positions.last_column']
  )
  return graph.node('Sub', [last, later], ['positions.ids'])
}

function rotate(graph: GraphBuilder, rotary: Rotary, spec: AttentionSpec, projections: QueryKeyValue): QueryKeyValue {
  const { positionIds, cos, sin } = rotary
  if ('packed' in projections || positionIds === null) {
    throw new RangeError('packed projections cannot be rotated outside of the attention operator')
  }
  const rotated = (value: string, heads: number) =>
    graph.node('RotaryEmbedding', [value, positionIds, cos, sin], [`${value}.rotated`], {
      domain: 'com.microsoft',
      attributes: { num_heads: { int: heads } }
    })
  return {
    query: rotated(projections.query, spec.heads),
    key: rotated(projections.key, spec.kvHeads),
    value: projections.value
  }
}
