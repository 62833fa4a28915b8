import { silentLogger } from '../base/index.ts'
import { buildEmbedGraph, buildHeadGraph, type Model, type SpanGraph } from '../model/index.ts'
import { hostDevice, loadBareDecode, loadEnds, loadSpan } from '../runtime/index.ts'
import { interleave } from './order.ts'
import { MemoryReader } from './span-roofline.ts'

/** Milliseconds, one sample a round; the samples of one round were taken one after the other. */
export interface StepSamples {
  /** One decode step of our runner. */
  readonly runner: readonly number[]
  /** The same step of the same graph by ONNX Runtime alone. */
  readonly bare: readonly number[]
  /** memchr over as many bytes as the step reads. */
  readonly search: readonly number[]
  /** One matrix-vector product over as many bytes as the span's weights. */
  readonly product: readonly number[]
}

export interface StepInit {
  readonly past: number
  readonly threads: number
  readonly rounds: number
  readonly seed: number
}

type Variant = keyof StepSamples

const warmupRounds = 5

/** Bytes that one decode step must read: the weights, and the keys and values of the past. */
export function bytesRead(graph: SpanGraph, past: number): number {
  return graph.kv.reduce((sum, { heads, headDim }) => sum + 2 * 4 * heads * headDim * past, graph.weightBytes)
}

/**
 * Times a decode step against what ONNX Runtime and the memory could do at best, in turns, so that whatever else the
 * machine does meets all alike. `model` has a head as large as the span.
 */
export async function sampleSteps(model: Model, graph: SpanGraph, init: StepInit): Promise<StepSamples> {
  const { past, threads } = init
  const chunkTokens = past
  const runner = await loadSpan(graph, { slots: 1, maxLength: past + 1, chunkTokens, threads, logger: silentLogger })
  const bare = await loadBareDecode(graph, { past, threads, device: hostDevice })
  const ends = await loadEnds(buildEmbedGraph(model), buildHeadGraph(model), { threads, logger: silentLogger })
  await using reader = await MemoryReader.start(bytesRead(graph, past), threads)

  const buffer = (tokens: number): Float32Array => new Float32Array(tokens * graph.hiddenSize).fill(0.5)
  await runner.prefill({ slot: 0, position: 0, input: buffer(past), output: buffer(past) })
  const runs = [{ slot: 0, position: past, input: buffer(1), output: buffer(1) }]
  const logits = new Float32Array(ends.vocabSize)
  const timed = async (work: () => unknown): Promise<number> => {
    const start = performance.now()
    await work()
    return performance.now() - start
  }
  const variants: Record<Variant, () => Promise<number>> = {
    runner: async () => {
      const ms = await timed(() => runner.decode(runs))
      runner.rewind(0, past)
      return ms
    },
    bare: () => timed(() => bare.steps(1)),
    search: () => reader.read(),
    product: () => timed(() => ends.logits(buffer(1), logits))
  }
  const samples: Record<Variant, number[]> = { runner: [], bare: [], search: [], product: [] }
  const names: readonly Variant[] = ['runner', 'bare', 'search', 'product']
  for (const { variant, run } of interleave(names, warmupRounds + init.rounds, init.seed)) {
    const ms = await variants[variant]()
    if (run >= warmupRounds) samples[variant].push(ms)
  }
  await Promise.all([bare.close(), runner.close(), ends.close()])
  return samples
}
