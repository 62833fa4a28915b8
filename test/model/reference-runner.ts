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

  /** Each prompt's hidden states for one more token, all decoded in one run over rows of different lengths. */
  static async decodeBatch(model: Model, prompts: readonly (readonly number[])[], id: number): Promise<Float32Array[]> {
    const graph = buildSpanGraph(model, { from: 0, to: model.spec.blocks }, { maxLength: 64 })
    const embed = await session(buildEmbedGraph(model))
    const span = new Span(graph, await session(graph), prompts.length)
    for (const [row, ids] of prompts.entries()) await span.run(await embedIds(embed, ids), ids.length, row)
    return span.decode(await embedIds(embed, [id]))
  }

  /** The last token's hidden states after each span, and its logits. */
  async run(ids: readonly number[]): Promise<{ hidden: Float32Array[]; logits: Float32Array }> {
    let hidden = await embedIds(this.#embed, ids)
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

async function embedIds(embed: ort.InferenceSession, ids: readonly number[]): Promise<Float32Array> {
  const outputs = await embed.run({ token_ids: new ort.Tensor('int64', BigInt64Array.from(ids, BigInt), [ids.length]) })
  return outputs['hidden']!.data as Float32Array
}

/** A span with the KV slabs of some rows, which runs share in place. */
class Span {
  readonly #graph: SpanGraph
  readonly #session: ort.InferenceSession
  readonly #slabs = new Map<string, Float32Array>()
  readonly #lengths: number[]

  constructor(graph: SpanGraph, session: ort.InferenceSession, rows = 1) {
    this.#graph = graph
    this.#session = session
    this.#lengths = Array<number>(rows).fill(0)
    for (const { pastKey, pastValue, heads, headDim } of graph.kv) {
      for (const name of [pastKey, pastValue]) {
        this.#slabs.set(name, new Float32Array(rows * heads * (graph.maxLength + 1) * headDim))
      }
    }
  }

  /** Tokens of one row. */
  async run(hidden: Float32Array, tokens: number, row = 0): Promise<Float32Array> {
    this.#lengths[row]! += tokens
    return this.#run(hidden, tokens, row, 1)
  }

  /** The same hidden states as the next token of every row. */
  async decode(hidden: Float32Array): Promise<Float32Array[]> {
    const rows = this.#lengths.length
    const batch = new Float32Array(rows * hidden.length)
    for (let row = 0; row < rows; row++) {
      batch.set(hidden, row * hidden.length)
      this.#lengths[row]! += 1
    }
    const out = await this.#run(batch, 1, 0, rows)
    return this.#lengths.map((_, row) => out.subarray(row * hidden.length, (row + 1) * hidden.length))
  }

  async #run(hidden: Float32Array, tokens: number, row: number, rows: number): Promise<Float32Array> {
    const { kv, maxLength, hiddenSize } = this.#graph
    const lengths = this.#lengths.slice(row, row + rows)
    const past: Record<string, ort.Tensor> = {}
    const fetches: Record<string, ort.Tensor | null> = { hidden_out: null }
    for (const { pastKey, pastValue, presentKey, presentValue, heads, headDim } of kv) {
      const stride = heads * (maxLength + 1) * headDim
      const view = (name: string) => {
        const data = this.#slabs.get(name)!.subarray(row * stride, (row + rows) * stride)
        return new ort.Tensor('float32', data, [rows, heads, maxLength + 1, headDim])
      }
      past[pastKey] = fetches[presentKey] = view(pastKey)
      past[pastValue] = fetches[presentValue] = view(pastValue)
    }
    const outputs = await this.#session.run(
      {
        hidden: new ort.Tensor('float32', hidden, [rows, tokens, hiddenSize]),
        seqlens_k: new ort.Tensor(
          'int32',
          Int32Array.from(lengths, length => length - 1),
          [rows]
        ),
        total_sequence_length: new ort.Tensor('int32', Int32Array.of(Math.max(...lengths)), []),
        ...past
      },
      fetches
    )
    return outputs['hidden_out']!.data as Float32Array
  }
}

function argmax(values: Float32Array): number {
  return values.reduce((best, value, i) => (value > values[best]! ? i : best), 0)
}

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity
  return Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0)
}
