import { createHash, type Hash } from 'node:crypto'
import { architectureOf } from './architectures/index.ts'
import type { Model } from './model.ts'
import { requireTensor, type TensorNeed, type WeightTensor } from './needs.ts'
import { readChunks } from './safetensors/files.ts'

type Source = Pick<Model, 'spec' | 'tensors'>

/** Hashing one chunk keeps the event loop for about a millisecond. */
const chunkBytes = 1024 * 1024

/**
 * SHA-256 over the spec, the names, shapes and types of the tensors that it uses, and the final norm's bytes. Equal for
 * the same weights wherever and in however many files they lie; different for a copy in another type. The norm's bytes
 * tell apart models of one shape without reading them whole.
 */
export async function modelDigest({ spec, tensors }: Source): Promise<Uint8Array> {
  const architecture = architectureOf(spec)
  const needs = new Map<string, TensorNeed>()
  for (const need of [...architecture.embedNeeds(spec), ...architecture.headNeeds(spec)]) needs.set(need.name, need)
  for (let block = 0; block < spec.blocks; block++) {
    for (const need of architecture.blockNeeds(spec, block)) needs.set(need.name, need)
  }
  const index = [...needs.values()].map(need => describe(requireTensor(tensors, need))).sort(byName)
  const hash = createHash('sha256')
    .update(canonicalJson({ format: 'andthen/model/1', spec, index }))
    .update('\n')
  await hashTensor(hash, requireTensor(tensors, architecture.finalNorm(spec)))
  return hash.digest()
}

/** SHA-256 over the names, shapes, types and bytes of one block's tensors. Reads the whole block. */
export async function blockDigest({ spec, tensors }: Source, block: number): Promise<Uint8Array> {
  const needs = architectureOf(spec).blockNeeds(spec, block)
  const found = needs.map(need => requireTensor(tensors, need)).sort(byName)
  const hash = createHash('sha256').update(canonicalJson({ format: 'andthen/block/1', index: found.map(describe) }))
  hash.update('\n')
  for (const tensor of found) await hashTensor(hash, tensor)
  return hash.digest()
}

/** JSON without spaces, with the keys of every object sorted, so that equal values give equal bytes. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}

function describe({ name, shape, dtype }: WeightTensor) {
  return { name, shape, dtype }
}

function byName(a: { name: string }, b: { name: string }): number {
  return a.name < b.name ? -1 : 1
}

function hashTensor(hash: Hash, tensor: WeightTensor): Promise<void> {
  return readChunks(tensor, chunkBytes, chunk => hash.update(chunk))
}
