import { copyFile, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { openModel, type StoredDtype } from '../../src/model/index.ts'
import { encodeFloats } from '../../src/model/safetensors/encode.ts'
import { writeSafetensors } from '../../src/model/safetensors/write.ts'

/** Copies a float32 or bfloat16 model's folder with its weights in another type, and in another order when told. */
export async function convertModel(
  from: string,
  to: string,
  dtype: StoredDtype,
  order: (a: string, b: string) => number = () => 0
): Promise<void> {
  const model = await openModel(from)
  await mkdir(to, { recursive: true })
  for (const name of await readdir(from)) {
    if (name.endsWith('.json')) await copyFile(join(from, name), join(to, name))
  }
  const tensors = [...model.tensors.values()].sort((a, b) => order(a.name, b.name))
  const sources = tensors.map(({ name, shape, dtype: stored }) => ({
    name,
    shape,
    dtype,
    bytes: async () => encodeFloats(decode(await model.readTensor(name), stored), dtype)
  }))
  await writeSafetensors(join(to, 'model.safetensors'), sources)
}

function decode(bytes: Uint8Array, dtype: string): Float32Array {
  if (dtype === 'F32') return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
  if (dtype !== 'BF16') throw new RangeError(`weights in ${dtype} are not converted`)
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2)
  return new Float32Array(Uint32Array.from(halves, bits => bits << 16).buffer)
}
