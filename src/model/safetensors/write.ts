import { open } from 'node:fs/promises'
import type { StoredDtype } from '../types.ts'
import { dtypeBits } from './dtype.ts'
import { elementCount } from './tensors.ts'

/** A tensor to be written; `bytes` is called when its turn comes, so that only one is in memory. */
export interface TensorSource {
  readonly name: string
  readonly dtype: StoredDtype
  readonly shape: readonly number[]
  bytes(): Uint8Array | Promise<Uint8Array>
}

/** The header pads to this, so that the first tensor is aligned. */
const alignment = 8

/** Writes a safetensors file with the tensors in the order given. */
export async function writeSafetensors(path: string, tensors: readonly TensorSource[]): Promise<void> {
  const entries: [string, object][] = []
  let end = 0
  for (const { name, dtype, shape } of tensors) {
    const begin = end
    end += (elementCount(shape) * (dtypeBits(dtype) ?? 0)) / 8
    entries.push([name, { dtype, shape, data_offsets: [begin, end] }])
  }
  const handle = await open(path, 'w')
  try {
    await handle.writeFile(headerBytes(Object.fromEntries(entries)))
    for (const tensor of tensors) await handle.writeFile(await tensor.bytes())
  } finally {
    await handle.close()
  }
}

function headerBytes(header: object): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(header))
  const length = Math.ceil(json.length / alignment) * alignment
  const bytes = new Uint8Array(8 + length).fill(' '.charCodeAt(0))
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true)
  bytes.set(json, 8)
  return bytes
}
