import type { ComputeType, SpanGraph } from '../../src/model/index.ts'
import { cacheBytes } from '../../src/runtime/binding.ts'
import { GraphBuilder } from '../../src/model/onnx/builder.ts'

/** The heads of a span. */
export interface Heads {
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
}

/** A span of two blocks, attention only: small enough that the naive computation below is obviously right. */
export const tiny = { blocks: 2, hidden: 32, heads: 4, kvHeads: 2, headDim: 16, maxLength: 12 }

/**
 * Four heads that read from one, of size 64, as most models' are: what ONNX Runtime's XQA takes on CUDA where the environment turns
 * it on; those of `tiny` it never does (group_query_attention.cc, is_non_quantized_supported).
 */
export const wide: Heads = { heads: 8, kvHeads: 2, headDim: 64 }

const { blocks, hidden } = tiny

function projectedOf({ heads, kvHeads, headDim }: Heads): number {
  return (heads + 2 * kvHeads) * headDim
}

/** Deterministic values in [-1, 1). */
export function values(count: number, seed: number): Float32Array {
  let state = seed + 1
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 31 - 1
  })
}

const known = new Map<Heads, readonly { readonly qkv: Float32Array; readonly out: Float32Array }[]>()

function weightsOf(shape: Heads) {
  const same = known.get(shape)
  if (same !== undefined) return same
  const [inner, projected] = [shape.heads * shape.headDim, projectedOf(shape)]
  const made = Array.from({ length: blocks }, (_, block) => ({
    qkv: values(hidden * projected, 10 + block).map(value => value / 4),
    // The deviation of what is summed grows with the root of the terms.
    out: values(inner * hidden, 20 + block).map(value => value / 4 / Math.sqrt(inner / 64))
  }))
  known.set(shape, made)
  return made
}

/** One position beyond `maxLength`, for null rows of full slots. */
function rotary(headDim: number, f: (angle: number) => number): Float32Array {
  const half = headDim / 2
  return Float32Array.from({ length: (tiny.maxLength + 1) * half }, (_, i) =>
    f(Math.floor(i / half) / 10000 ** ((2 * (i % half)) / headDim))
  )
}

const onnxTypes = { f32: 'float32', f16: 'float16', bf16: 'bfloat16' } as const

export function tinySpan(compute: ComputeType = 'f32', shape: Heads = tiny): SpanGraph {
  const { heads, kvHeads, headDim } = shape
  const projected = projectedOf(shape)
  const graph = new GraphBuilder('tiny')
  const type = onnxTypes[compute]
  const cast = (value: string): string => (compute === 'f32' ? value : graph.cast(value, type, `${value}.cast`))
  const constant = (name: string, shape: number[], data: Float32Array): string =>
    cast(graph.constant(name, 'float32', shape, new Uint8Array(data.buffer)))
  let stream = cast(graph.input('hidden', 'float32', ['batch', 'tokens', hidden]))
  const shared = [
    graph.input('seqlens_k', 'int32', ['batch']),
    graph.input('total_sequence_length', 'int32', []),
    constant('cos', [tiny.maxLength + 1, headDim / 2], rotary(headDim, Math.cos)),
    constant('sin', [tiny.maxLength + 1, headDim / 2], rotary(headDim, Math.sin))
  ]
  const kv = weightsOf(shape).map(({ qkv, out }, block) => {
    const layer = {
      pastKey: `past_key_${block}`,
      pastValue: `past_value_${block}`,
      presentKey: `present_key_${block}`,
      presentValue: `present_value_${block}`,
      heads: kvHeads,
      headDim
    }
    const cache = ['batch', kvHeads, 'capacity', headDim]
    graph.input(layer.pastKey, type, cache)
    graph.input(layer.pastValue, type, cache)
    const packed = graph.node('MatMul', [stream, constant(`qkv_${block}`, [hidden, projected], qkv)], [`x_${block}`])
    const attention = graph.node(
      'GroupQueryAttention',
      [packed, '', '', layer.pastKey, layer.pastValue, ...shared],
      [`attention_${block}`, layer.presentKey, layer.presentValue],
      {
        domain: 'com.microsoft',
        attributes: { num_heads: { int: heads }, kv_num_heads: { int: kvHeads }, do_rotary: { int: 1 } }
      }
    )
    const product = graph.node(
      'MatMul',
      [attention, constant(`out_${block}`, [heads * headDim, hidden], out)],
      [`product_${block}`]
    )
    stream = graph.node('Add', [stream, product], [`stream_${block}`])
    return layer
  })
  graph.cast(stream, 'float32', 'hidden_out')
  graph.output('hidden_out', 'float32', ['batch', 'tokens', hidden])
  for (const { presentKey, presentValue } of kv) {
    for (const name of [presentKey, presentValue]) {
      graph.output(name, type, ['batch', kvHeads, 'capacity', headDim])
    }
  }
  return {
    bytes: graph.build(),
    folder: process.cwd(),
    weightBytes: blocks * cacheBytes[compute] * (hidden * projected + heads * headDim * hidden),
    blocks: { from: 0, to: blocks },
    hiddenSize: hidden,
    compute,
    kv,
    maxLength: tiny.maxLength
  }
}

/** The same span over whole sequences, in plain loops. `input` and the result are [tokens, hidden]. */
export function naiveSpan(input: Float32Array, shape: Heads = tiny): Float32Array {
  const attention = new NaiveAttention(shape)
  return weightsOf(shape).reduce((stream, { qkv, out }) => {
    const packed = product(stream, qkv, hidden, projectedOf(shape))
    const attended = product(attention.over(packed, stream.length / hidden), out, shape.heads * shape.headDim, hidden)
    return stream.map((value, i) => value + (attended[i] ?? NaN))
  }, input)
}

function product(a: Float32Array, b: Float32Array, inner: number, columns: number): Float32Array {
  return Float32Array.from({ length: (a.length / inner) * columns }, (_, i) => {
    const row = Math.floor(i / columns)
    let sum = 0
    for (let k = 0; k < inner; k++) sum += a[row * inner + k]! * b[k * columns + (i % columns)]!
    return sum
  })
}

class NaiveAttention {
  readonly #shape: Heads
  readonly #cos: Float32Array
  readonly #sin: Float32Array

  constructor(shape: Heads) {
    this.#shape = shape
    this.#cos = rotary(shape.headDim, Math.cos)
    this.#sin = rotary(shape.headDim, Math.sin)
  }

  /** Of packed projections, [tokens, heads + 2 kvHeads, headDim]: [tokens, heads, headDim]. */
  over(packed: Float32Array, tokens: number): Float32Array {
    const { heads, kvHeads, headDim } = this.#shape
    const vector = (token: number, head: number): Float32Array =>
      packed.subarray(token * projectedOf(this.#shape) + head * headDim).slice(0, headDim)
    const result = new Float32Array(tokens * heads * headDim)
    for (let token = 0; token < tokens; token++) {
      for (let head = 0; head < heads; head++) {
        const group = Math.floor((head * kvHeads) / heads)
        const query = this.#rotate(vector(token, head), token)
        const scores = Array.from({ length: token + 1 }, (_, past) => {
          const key = this.#rotate(vector(past, heads + group), past)
          return Math.exp(query.reduce((sum, value, i) => sum + value * key[i]!, 0) / Math.sqrt(headDim))
        })
        const total = scores.reduce((sum, score) => sum + score, 0)
        scores.forEach((score, past) => {
          const value = vector(past, heads + kvHeads + group)
          for (let i = 0; i < headDim; i++) result[(token * heads + head) * headDim + i]! += (score / total) * value[i]!
        })
      }
    }
    return result
  }

  #rotate(vector: Float32Array, position: number): Float32Array {
    const half = this.#shape.headDim / 2
    return vector.map((value, i) => {
      const angle = position * half + (i % half)
      const other = i < half ? -vector[i + half]! : vector[i - half]!
      return value * this.#cos[angle]! + other * this.#sin[angle]!
    })
  }
}

/**
 * How far the tiny span may be from the naive one. Values of 16 bits are off by at most half a unit in the last place
 * each time that they are rounded (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., theorem 2.2): here on
 * the longest way 1 time at the edge, and in each block in the products, the rotation, the attention and the sum. For
 * float32 it is what summing in another order makes of it, measured.
 */
export function tolerance(compute: ComputeType, expected: Float32Array): number {
  if (compute === 'f32') return 5e-6
  const roundings = 1 + 5 * tiny.blocks
  const unit = { f16: 2 ** -11, bf16: 2 ** -8 }[compute]
  return roundings * unit * expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1)
}
