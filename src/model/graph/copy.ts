import { GraphBuilder } from '../onnx/builder.ts'
import type { OnnxGraph } from '../types.ts'

/** Copies bytes: input `from`, output `to`, both uint8 [bytes], wherever the runtime binds them. */
export function buildCopyGraph(): OnnxGraph {
  const graph = new GraphBuilder('copy')
  graph.node('Identity', [graph.input('from', 'uint8', ['bytes'])], ['to'])
  graph.output('to', 'uint8', ['bytes'])
  return { bytes: graph.build(), folder: '/', weightBytes: 0 }
}
