import { copyFile, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { openModel, type StoredDtype } from '../../src/model/index.ts'
import { encodeFloats } from '../../src/model/safetensors/encode.ts'
import { writeSafetensors } from '../../src/model/safetensors/write.ts'

/** Copies a bfloat16 model's folder with its weights in another type. */
export async function convertModel(from: string, to: string, dtype: StoredDtype): Promise<void> {
  const model = await openModel(from)
  await mkdir(to, { recursive: true })
  for (const name of await readdir(from)) {
    if (name.endsWith('.json')) await copyFile(join(from, name), join(to, name))
  }
  const sources = [...model.tensors.values()].map(({ name, shape }) => ({
    name,
    shape,
    dtype,
    bytes: async () => encodeFloats(decodeBfloat16(await model.readTensor(name)), dtype)
  }))
  await writeSafetensors(join(to, 'model.safetensors'), sources)
}

export function decodeBfloat16(bytes: Uint8Array): Float32Array {
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2)
  return new Float32Array(Uint32Array.from(halves, bits => bits << 16).buffer)
}
