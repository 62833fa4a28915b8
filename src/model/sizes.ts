import { architectureOf } from './architectures/index.ts'
import { computeBytes } from './graph/compute.ts'
import { elementCount } from './safetensors/tensors.ts'
import type { ModelSpec } from './spec.ts'
import type { BlockRange } from './types.ts'

/** Bytes that the blocks' weights take once loaded, in the float32 that they are computed in. */
export function spanBytes({ spec }: { readonly spec: ModelSpec }, range: BlockRange): number {
  const architecture = architectureOf(spec)
  let elements = 0
  for (let block = range.from; block < range.to; block++) {
    for (const need of architecture.blockNeeds(spec, block)) elements += elementCount(need.shape)
  }
  return elements * computeBytes
}

/** Bytes that one token's keys and values take in the caches of the blocks. */
export function kvBytesPerToken(spec: ModelSpec, range: BlockRange): number {
  return (range.to - range.from) * 2 * spec.attention.kvHeads * spec.attention.headDim * computeBytes
}
