import type { LinearNeed, TensorNeed } from '../needs.ts'
import type { GraphBuilder } from '../onnx/builder.ts'
import type { AttentionSpec, NormSpec } from '../spec.ts'
import { addAttention, type QueryKeyValue, type SpanCache, takesPacked } from './attention.ts'
import { onnxTypeOf } from './compute.ts'
import type { Weights } from './weights.ts'

/**
 * The hidden states between two blocks as a graph computes them: the sum of both, left open so that the next norm and
 * the addition become one operation. The sum is float32 whatever the blocks compute in, as it is between servers: so
 * where a model is cut changes no bit of what follows, and what adds up over many blocks is not rounded on the way.
 */
export interface Residual {
  readonly stream: string
  /** The last branch's output, not yet added, in the type that is computed in. */
  readonly branch: string | null
}

interface QueryKeyValueNeeds {
  readonly query: LinearNeed
  readonly key: LinearNeed
  readonly value: LinearNeed
}

/** The vocabulary that architectures are written in: each method adds one layer's nodes and names its output. */
export class Layers {
  readonly #graph: GraphBuilder
  readonly #weights: Weights
  readonly #cache: SpanCache | null

  /** @param cache null in graphs without blocks */
  constructor(graph: GraphBuilder, weights: Weights, cache: SpanCache | null) {
    this.#graph = graph
    this.#weights = weights
    this.#cache = cache
  }

  /** Rows of a table as float32. Only the rows taken are cast, so the table stays as small as it is stored. */
  gather(table: TensorNeed, ids: string): string {
    const rows = this.#graph.node('Gather', [this.#weights.stored(table), ids], [`${table.name}.rows`])
    return this.#graph.cast(rows, 'float32', `${table.name}.out`)
  }

  /**
   * `x @ weight^T + bias`. Hugging Face stores [out, in]; FusedMatMul transposes while ONNX Runtime packs the matrix, so
   * no transposed copy is kept.
   */
  linear(x: string, need: LinearNeed): string {
    const weight = this.#weights.load(need.weight)
    return this.#linear(x, weight, need.bias && this.#weights.load(need.bias), need.weight.name)
  }

  /** Closes a residual and normalizes it; `stream` is the sum, `normed` in the type that is computed in. */
  addAndNorm(hidden: Residual, weight: TensorNeed, norm: NormSpec): { normed: string; stream: string } {
    const scale = this.#weights.load(weight, 'f32')
    const normed = `${weight.name}.out`
    const epsilon = { float: norm.epsilon }
    if (hidden.branch === null) {
      this.#graph.node('SimplifiedLayerNormalization', [hidden.stream, scale], [normed], {
        attributes: { epsilon, axis: { int: -1 }, stash_type: { int: 1 } }
      })
      return { normed: this.#computed(normed), stream: hidden.stream }
    }
    const stream = `${weight.name}.sum`
    this.#graph.node(
      'SkipSimplifiedLayerNormalization',
      [hidden.stream, this.#exact(hidden.branch), scale],
      [normed, '', '', stream],
      {
        domain: 'com.microsoft',
        attributes: { epsilon }
      }
    )
    return { normed: this.#computed(normed), stream }
  }

  /** Closes a residual under the graph's output name. */
  add(hidden: Residual, output: string): void {
    if (hidden.branch === null) this.#graph.node('Identity', [hidden.stream], [output])
    else this.#graph.node('Add', [hidden.stream, this.#exact(hidden.branch)], [output])
  }

  /**
   * Grouped-query attention with rotary positions over the block's KV cache; x [batch, tokens, hidden] to
   * [batch, tokens, heads * headDim], before the output projection.
   */
  attention(x: string, block: number, spec: AttentionSpec, needs: QueryKeyValueNeeds): string {
    if (this.#cache === null) throw new RangeError('this graph has no KV cache')
    return addAttention(this.#graph, this.#cache, block, spec, this.#queryKeyValue(x, block, spec, needs))
  }

  /** `down(silu(gate(x)) * up(x))`. */
  gatedMlp(x: string, needs: { gate: LinearNeed; up: LinearNeed; down: LinearNeed }): string {
    const gate = this.linear(x, needs.gate)
    const sigmoid = this.#graph.node('Sigmoid', [gate], [`${gate}.sigmoid`])
    const activated = this.#graph.node('Mul', [gate, sigmoid], [`${gate}.silu`])
    const gated = this.#graph.node('Mul', [activated, this.linear(x, needs.up)], [`${gate}.gated`])
    return this.linear(gated, needs.down)
  }

  /** One product where the file has the three matrices in a row, three where it does not: never a copy to join them. */
  #queryKeyValue(x: string, block: number, spec: AttentionSpec, needs: QueryKeyValueNeeds): QueryKeyValue {
    const { query, key, value } = needs
    const name = `blocks.${block}.query_key_value`
    const weight = takesPacked(spec) ? this.#weights.stack([query.weight, key.weight, value.weight], name) : null
    if (weight === null) {
      return { query: this.linear(x, query), key: this.linear(x, key), value: this.linear(x, value) }
    }
    const biases = [query, key, value].flatMap(({ bias }) => (bias === undefined ? [] : [this.#weights.load(bias)]))
    if (biases.length === 0) return { packed: this.#linear(x, weight, undefined, name) }
    const bias = this.#graph.node('Concat', biases, [`${name}.bias`], { attributes: { axis: { int: 0 } } })
    return { packed: this.#linear(x, weight, bias, name) }
  }

  /** A float32 value in the type that is computed in. */
  #computed(value: string): string {
    const { compute } = this.#weights
    return compute === 'f32' ? value : this.#graph.cast(value, onnxTypeOf(compute), `${value}.${compute}`)
  }

  /** The other way. */
  #exact(value: string): string {
    return this.#weights.compute === 'f32' ? value : this.#graph.cast(value, 'float32', `${value}.f32`)
  }

  #linear(x: string, weight: string, bias: string | undefined, name: string): string {
    const product = this.#graph.node('FusedMatMul', [x, weight], [`${name}.product`], {
      domain: 'com.microsoft',
      attributes: { transB: { int: 1 } }
    })
    return bias === undefined ? product : this.#graph.node('Add', [product, bias], [`${name}.biased`])
  }
}
