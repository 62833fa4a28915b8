import { architectureOf } from './architectures/index.ts'
import { computeBytes } from './graph/compute.ts'
import { elementCount } from './safetensors/tensors.ts'
import type { Model } from './model.ts'
import { requireTensor } from './needs.ts'
import type { ModelSpec } from './spec.ts'
import type { BlockRange, ComputeType, StoredDtype } from './types.ts'

/**
 * Bytes that the blocks' weights take once loaded, at most: matrices in the type that they are computed in, vectors in
 * float32, as those of norms are.
 */
export function spanBytes(
  { spec }: { readonly spec: ModelSpec },
  range: BlockRange,
  compute: ComputeType = 'f32'
): number {
  const architecture = architectureOf(spec)
  let bytes = 0
  for (let block = range.from; block < range.to; block++) {
    for (const { shape } of architecture.blockNeeds(spec, block)) {
      bytes += elementCount(shape) * computeBytes(shape.length === 1 ? 'f32' : compute)
    }
  }
  return bytes
}

/** Bytes that one token's keys and values take in the caches of the blocks. */
export function kvBytesPerToken(spec: ModelSpec, range: BlockRange, compute: ComputeType = 'f32'): number {
  return (range.to - range.from) * 2 * spec.attention.kvHeads * spec.attention.headDim * computeBytes(compute)
}

/** The type that the blocks' matrices are stored in, told by the first of them. */
export function storedDtype({ spec, tensors }: Pick<Model, 'spec' | 'tensors'>): StoredDtype {
  const matrix = architectureOf(spec)
    .blockNeeds(spec, 0)
    .find(({ shape }) => shape.length === 2)
  if (matrix === undefined) throw new RangeError(`${spec.architecture} has blocks without a matrix`)
  return requireTensor(tensors, matrix, 'block 0').dtype
}
