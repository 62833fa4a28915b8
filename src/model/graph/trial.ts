import { GraphBuilder } from '../onnx/builder.ts'
import type { OnnxGraph } from '../types.ts'

/** Of the trial's rows and columns. */
export const trialSize = 64

/** Small whole numbers, whose products and sums float16 holds exactly. */
export function trialWeight(row: number, column: number): number {
  return ((3 * row + column) % 5) - 2
}

/**
 * The kinds of work that every span is made of, in small: input `x` and output `y`, float32 ['tokens', trialSize], y = x
 * @ weight^T in float16.
 */
export function buildTrialGraph(): OnnxGraph {
  const graph = new GraphBuilder('trial')
  const shape = [trialSize, trialSize]
  const values = Float32Array.from({ length: trialSize ** 2 }, (_, i) => {
    return trialWeight(Math.floor(i / trialSize), i % trialSize)
  })
  const exact = graph.constant('weight', 'float32', shape, new Uint8Array(values.buffer))
  const weight = graph.cast(exact, 'float16', 'weight.f16')
  const x = graph.cast(graph.input('x', 'float32', ['tokens', trialSize]), 'float16', 'x.f16')
  const product = graph.node('FusedMatMul', [x, weight], ['product'], {
    domain: 'com.microsoft',
    attributes: { transB: { int: 1 } }
  })
  graph.cast(product, 'float32', 'y')
  graph.output('y', 'float32', ['tokens', trialSize])
  return { bytes: graph.build(), folder: '/', weightBytes: 2 * trialSize ** 2 }
}
