import { architectureOf } from '../architectures/index.ts'
import type { Model } from '../model.ts'
import { GraphBuilder } from '../onnx/builder.ts'
import type { EmbedGraph, HeadGraph } from '../types.ts'
import { Layers } from './layers.ts'
import { Weights } from './weights.ts'

/** Token ids to hidden states. */
export function buildEmbedGraph({ spec, tensors }: Model): EmbedGraph {
  const graph = new GraphBuilder('embed')
  const weights = new Weights(graph, tensors, 'f32')
  const layers = new Layers(graph, weights, null)
  const ids = graph.input('token_ids', 'int64', ['tokens'])
  const hidden = architectureOf(spec).embed(layers, spec, ids)
  layers.add({ stream: hidden, branch: null }, 'hidden')
  graph.output('hidden', 'float32', ['tokens', spec.hiddenSize])
  return { bytes: graph.build(), folder: weights.folder, weightBytes: weights.loadedBytes, hiddenSize: spec.hiddenSize }
}

/** Final norm and language-model head. */
export function buildHeadGraph({ spec, tensors }: Model): HeadGraph {
  const graph = new GraphBuilder('head')
  const weights = new Weights(graph, tensors, 'f32')
  const layers = new Layers(graph, weights, null)
  const hidden = graph.input('hidden', 'float32', ['tokens', spec.hiddenSize])
  const logits = architectureOf(spec).head(layers, spec, hidden)
  layers.add({ stream: logits, branch: null }, 'logits')
  graph.output('logits', 'float32', ['tokens', spec.vocabSize])
  const { hiddenSize, vocabSize } = spec
  return { bytes: graph.build(), folder: weights.folder, weightBytes: weights.loadedBytes, hiddenSize, vocabSize }
}
