import { buildSpanGraph } from '../../src/model/index.ts'
import { GraphBuilder } from '../../src/model/onnx/builder.ts'

type Build = typeof buildSpanGraph

/** TensorProto.DataType. */
const types = { f32: 1, f16: 10, bf16: 16 } as const
const halfTypes = new Set<number>([types.f16, types.bf16])

/** These move values and compute none. */
const exact = new Set(['Cast', 'Concat'])

/**
 * The span of `buildSpanGraph` with each operator of 16 bits computed in float32 and its results rounded: what kernels of
 * that type do, on a processor that has none for bfloat16. The KV cache is of 16 bits all the same.
 */
export const buildRoundedSpan: Build = (model, range, init) => {
  const to = types[init.compute ?? 'f32']
  const { input, external, node } = GraphBuilder.prototype
  const halves = new Set<string>()
  const known = (name: string, half: boolean): string => {
    if (half) halves.add(name)
    return name
  }
  let casts = 0
  GraphBuilder.prototype.input = function (name, type, shape) {
    return known(input.call(this, name, type, shape), type.endsWith('float16'))
  }
  GraphBuilder.prototype.external = function (name, type, shape, data) {
    return known(external.call(this, name, type, shape, data), type.endsWith('float16'))
  }
  GraphBuilder.prototype.node = function (type, inputs, outputs, attributes = {}) {
    const cast = (value: string, output: string, int: number): string =>
      node.call(this, 'Cast', [value], [output], { attributes: { to: { int } } })
    const half = inputs.some(name => halves.has(name))
    if (!half || exact.has(type)) {
      const target = attributes.attributes?.['to']
      const turns = type === 'Cast' && target !== undefined && 'int' in target
      return known(node.call(this, type, inputs, outputs, attributes), turns ? halfTypes.has(target.int) : half)
    }
    const wide = (name: string): string => `${name}.wide.${casts++}`
    const full = inputs.map(name => (halves.has(name) ? cast(name, wide(name), types.f32) : name))
    const results = outputs.map(wide) as [string, ...string[]]
    node.call(this, type, full, results, attributes)
    for (const [i, result] of results.entries()) known(cast(result, outputs[i]!, to), true)
    return outputs[0]
  }
  try {
    return buildSpanGraph(model, range, init)
  } finally {
    Object.assign(GraphBuilder.prototype, { input, external, node })
  }
}

/** Of an operator's inputs, the first so many are multiplied with one another. */
const factors: Readonly<Record<string, number>> = { FusedMatMul: 2, GroupQueryAttention: 3 }

/**
 * The span in float32, but what goes into a product, weights too, is rounded to 16 bits before: what no graph of that
 * type can do without.
 */
export function buildSpanOfRoundedFactors(compute: 'f16' | 'bf16'): Build {
  return (model, range, init) => {
    const { node } = GraphBuilder.prototype
    GraphBuilder.prototype.node = function (type, inputs, outputs, attributes) {
      const cast = (value: string, output: string, int: number): string =>
        node.call(this, 'Cast', [value], [output], { attributes: { to: { int } } })
      const rounded = inputs.map((name, i) => {
        if (name === '' || i >= (factors[type] ?? 0)) return name
        const factor = `${outputs[0]}.factor.${i}`
        return cast(cast(name, `${factor}.${compute}`, types[compute]), factor, types.f32)
      })
      return node.call(this, type, rounded, outputs, attributes)
    }
    try {
      return buildSpanGraph(model, range, { ...init, compute: 'f32' })
    } finally {
      Object.assign(GraphBuilder.prototype, { node })
    }
  }
}
