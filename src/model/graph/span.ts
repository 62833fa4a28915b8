import { UsageError } from '../../base/index.ts'
import { architectureOf } from '../architectures/index.ts'
import type { Model } from '../model.ts'
import { GraphBuilder } from '../onnx/builder.ts'
import type { ModelSpec } from '../spec.ts'
import type { BlockRange, KvLayer, SpanGraph } from '../types.ts'
import { type AttentionInputs, Layers, type Residual } from './layers.ts'
import { rotaryTables } from './rotary.ts'
import { Weights } from './weights.ts'

export interface SpanGraphInit {
  /** Tokens that a session may hold. */
  readonly maxLength: number
}

/** Blocks `from` to `to` as one graph. */
export function buildSpanGraph(model: Model, range: BlockRange, init: SpanGraphInit): SpanGraph {
  const { spec, tensors, folder } = model
  if (!(range.from >= 0 && range.from < range.to && range.to <= spec.blocks)) {
    throw new UsageError(`blocks ${range.from}-${range.to} are not in the model, which has 0-${spec.blocks}`)
  }
  const architecture = architectureOf(spec)
  const graph = new GraphBuilder(`blocks ${range.from}-${range.to}`)
  const weights = new Weights(graph, tensors, folder)
  let hidden: Residual = {
    stream: graph.input('hidden', 'float32', ['batch', 'tokens', spec.hiddenSize]),
    branch: null
  }
  const attention = attentionInputs(graph, spec, range, init.maxLength)
  const layers = new Layers(graph, weights, attention)
  for (let block = range.from; block < range.to; block++) {
    hidden = architecture.block(layers, spec, block, hidden)
  }
  layers.add(hidden, 'hidden_out')
  graph.output('hidden_out', 'float32', ['batch', 'tokens', spec.hiddenSize])
  const kv = [...attention.kv.values()]
  for (const layer of kv) {
    for (const name of [layer.presentKey, layer.presentValue]) {
      graph.output(name, 'float32', ['batch', layer.heads, 'capacity', layer.headDim])
    }
  }
  return {
    bytes: graph.build(),
    folder,
    weightBytes: weights.loadedBytes,
    blocks: range,
    hiddenSize: spec.hiddenSize,
    kv,
    maxLength: init.maxLength
  }
}

function attentionInputs(graph: GraphBuilder, spec: ModelSpec, range: BlockRange, maxLength: number): AttentionInputs {
  const { kvHeads: heads, headDim } = spec.attention
  // A null row of a full slot takes part in a decode at position `maxLength`, whose angles must exist.
  const positions = maxLength + 1
  const { cos, sin } = rotaryTables(spec.positions, headDim, positions)
  const shape = [positions, headDim / 2]
  const kv = new Map<number, KvLayer>()
  const shared = {
    seqlensK: graph.input('seqlens_k', 'int32', ['batch']),
    totalSequenceLength: graph.input('total_sequence_length', 'int32', []),
    cos: graph.constant('rotary.cos', 'float32', shape, new Uint8Array(cos.buffer)),
    sin: graph.constant('rotary.sin', 'float32', shape, new Uint8Array(sin.buffer)),
    kv
  }
  for (let block = range.from; block < range.to; block++) {
    const past = (part: string) =>
      graph.input(`blocks.${block}.past_${part}`, 'float32', ['batch', heads, 'capacity', headDim])
    kv.set(block, {
      pastKey: past('key'),
      pastValue: past('value'),
      presentKey: `blocks.${block}.present_key`,
      presentValue: `blocks.${block}.present_value`,
      heads,
      headDim
    })
  }
  return shared
}
