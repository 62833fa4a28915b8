import { UsageError } from '../../base/index.ts'
import { architectureOf } from '../architectures/index.ts'
import type { Model } from '../model.ts'
import { GraphBuilder } from '../onnx/builder.ts'
import type { BlockRange, ComputeType, SpanGraph } from '../types.ts'
import { addCache } from './attention.ts'
import { onnxTypeOf } from './compute.ts'
import { Layers, type Residual } from './layers.ts'
import { Weights } from './weights.ts'

export interface SpanGraphInit {
  /** Tokens that a session may hold. */
  readonly maxLength: number
  /** What is computed in, between float32 hidden states. @default 'f32' */
  readonly compute?: ComputeType
}

/** Blocks `from` to `to` as one graph. */
export function buildSpanGraph(model: Model, range: BlockRange, init: SpanGraphInit): SpanGraph {
  const { spec, tensors } = model
  if (!(range.from >= 0 && range.from < range.to && range.to <= spec.blocks)) {
    throw new UsageError(`blocks ${range.from}-${range.to} are not in the model, which has 0-${spec.blocks}`)
  }
  const architecture = architectureOf(spec)
  const graph = new GraphBuilder(`blocks ${range.from}-${range.to}`)
  const { maxLength, compute = 'f32' } = init
  const type = onnxTypeOf(compute)
  const weights = new Weights(graph, tensors, compute)
  const input = graph.input('hidden', 'float32', ['batch', 'tokens', spec.hiddenSize])
  let hidden: Residual = { stream: input, branch: null }
  const cache = addCache(graph, spec, range, { maxLength, compute })
  const layers = new Layers(graph, weights, cache)
  for (let block = range.from; block < range.to; block++) {
    hidden = architecture.block(layers, spec, block, hidden)
  }
  layers.add(hidden, 'hidden_out')
  graph.output('hidden_out', 'float32', ['batch', 'tokens', spec.hiddenSize])
  const kv = [...cache.layers.values()]
  for (const layer of kv) {
    for (const name of [layer.presentKey, layer.presentValue]) {
      graph.output(name, type, ['batch', layer.heads, 'capacity', layer.headDim])
    }
  }
  return {
    bytes: graph.build(),
    folder: weights.folder,
    weightBytes: weights.loadedBytes,
    blocks: range,
    hiddenSize: spec.hiddenSize,
    compute,
    kv,
    maxLength
  }
}
