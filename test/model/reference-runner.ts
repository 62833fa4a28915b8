import * as ort from 'onnxruntime-node'
import {
  buildEmbedGraph,
  buildHeadGraph,
  buildSpanGraph,
  type Model,
  type OnnxGraph,
  type SpanGraph
} from '../../src/model/index.ts'

async function session(graph: OnnxGraph): Promise<ort.InferenceSession> {
  return ort.InferenceSession.create(graph.bytes, {
    intraOpNumThreads: 1,
    extra: { session: { model_external_initializers_file_folder_path: graph.folder } }
  })
}

/** Runs a model's graphs through ONNX Runtime's official API: slow, simple, and written only for these tests. */
export class ReferenceRunner {
  readonly #embed: ort.InferenceSession
  readonly #spans: Span[]
  readonly #head: ort.InferenceSession

  private constructor(embed: ort.InferenceSession, spans: Span[], head: ort.InferenceSession) {
    this.#embed = embed
    this.#spans = spans
    this.#head = head
  }

  /** @param cuts block numbers where spans begin, after the first */
  static async create(model: Model, cuts: readonly number[], maxLength = 256): Promise<ReferenceRunner> {
    const bounds = [0, ...cuts, model.spec.blocks]
    const spans: Span[] = []
    for (const [i, from] of bounds.slice(0, -1).entries()) {
      const graph = buildSpanGraph(model, { from, to: bounds[i + 1]! }, { maxLength })
      spans.push(new Span(graph, await session(graph)))
    }
    return new ReferenceRunner(await session(buildEmbedGraph(model)), spans, await session(buildHeadGraph(model)))
  }

  /** The last token's hidden states after each span, and its logits. */
  async run(ids: readonly number[]): Promise<{ hidden: Float32Array[]; logits: Float32Array }> {
    const feeds = { token_ids: new ort.Tensor('int64', BigInt64Array.from(ids, BigInt), [ids.length]) }
    let hidden = (await this.#embed.run(feeds))['hidden']!.data as Float32Array
    const last: Float32Array[] = []
    for (const span of this.#spans) {
      hidden = await span.run(hidden, ids.length)
      last.push(hidden.slice(-hidden.length / ids.length))
    }
    const row = last.at(-1)!
    const outputs = await this.#head.run({ hidden: new ort.Tensor('float32', row, [1, row.length]) })
    return { hidden: last, logits: outputs['logits']!.data as Float32Array }
  }

  /** Greedy continuation, one token at a time after the prompt. */
  async generate(prompt: readonly number[], tokens: number): Promise<{ logits: Float32Array; ids: number[] }> {
    const first = await this.run(prompt)
    const ids = [argmax(first.logits)]
    while (ids.length < tokens) ids.push(argmax((await this.run(ids.slice(-1))).logits))
    return { logits: first.logits, ids }
  }
}

class Span {
  readonly #graph: SpanGraph
  readonly #session: ort.InferenceSession
  readonly #cache: Record<string, ort.Tensor>
  #length = 0

  constructor(graph: SpanGraph, session: ort.InferenceSession) {
    this.#graph = graph
    this.#session = session
    this.#cache = {}
    for (const { pastKey, pastValue, heads, headDim } of graph.kv) {
      const capacity = graph.maxLength + 1
      for (const name of [pastKey, pastValue]) {
        const data = new Float32Array(heads * capacity * headDim)
        this.#cache[name] = new ort.Tensor('float32', data, [1, heads, capacity, headDim])
      }
    }
  }

  async run(hidden: Float32Array, tokens: number): Promise<Float32Array> {
    this.#length += tokens
    const fetches: Record<string, ort.Tensor | null> = { hidden_out: null }
    for (const layer of this.#graph.kv) {
      fetches[layer.presentKey] = this.#cache[layer.pastKey]!
      fetches[layer.presentValue] = this.#cache[layer.pastValue]!
    }
    const outputs = await this.#session.run(
      {
        hidden: new ort.Tensor('float32', hidden, [1, tokens, this.#graph.hiddenSize]),
        seqlens_k: new ort.Tensor('int32', Int32Array.of(this.#length - 1), [1]),
        total_sequence_length: new ort.Tensor('int32', Int32Array.of(this.#length), []),
        ...this.#cache
      },
      fetches
    )
    return outputs['hidden_out']!.data as Float32Array
  }
}

export function argmax(values: Float32Array): number {
  return values.reduce((best, value, i) => (value > values[best]! ? i : best), 0)
}

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity
  return Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0)
}
