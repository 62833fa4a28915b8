import { type FileHandle, open, realpath, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { fileProblem } from '../../base/index.ts'
import { ModelFileError } from '../errors.ts'
import { isMissing, readJson } from '../json.ts'
import { headerLength, headerLengthBytes, parseHeader } from './header.ts'
import type { StoredTensor, TensorIndex } from './tensors.ts'

const singleFile = 'model.safetensors'
const shardIndex = 'model.safetensors.index.json'

const shardIndexSchema = z.object({ weight_map: z.record(z.string(), z.string()) })

/**
 * Reads the headers, and nothing else, of a folder's `model.safetensors`, or of the shards that
 * `model.safetensors.index.json` names.
 *
 * @throws ModelFileError MODEL_NOT_FOUND, MODEL_CONFIG, MODEL_TENSOR_MISSING, SAFETENSORS_*
 */
export async function indexTensors(folder: string, signal?: AbortSignal): Promise<TensorIndex> {
  const tensors = new Map<string, StoredTensor>()
  const shards = await readJson(join(folder, shardIndex), shardIndexSchema, signal)
  if (shards === null) {
    for (const tensor of await readHeader(join(folder, singleFile))) tensors.set(tensor.name, tensor)
    return tensors
  }
  const weightMap = new Map(Object.entries(shards.weight_map))
  for (const shard of new Set(weightMap.values())) {
    signal?.throwIfAborted()
    if (basename(shard) !== shard || shard === '' || shard === '..') {
      throw new ModelFileError(
        'MODEL_CONFIG',
        `${join(folder, shardIndex)} names the shard ${JSON.stringify(shard)}, which is not a file name`
      )
    }
    for (const tensor of await readHeader(join(folder, shard))) {
      if (weightMap.get(tensor.name) === shard) tensors.set(tensor.name, tensor)
    }
  }
  for (const [name, shard] of weightMap) {
    if (!tensors.has(name)) {
      throw new ModelFileError(
        'MODEL_TENSOR_MISSING',
        `${join(folder, shard)} lacks tensor ${JSON.stringify(name)}, which ${shardIndex} says it has`,
        {
          details: { path: join(folder, shard), tensor: name }
        }
      )
    }
  }
  return tensors
}

async function readHeader(path: string): Promise<StoredTensor[]> {
  return withFile(path, async (handle, file) => {
    const { size } = await handle.stat()
    const prefix = await readExactly(handle, 0, Math.min(size, headerLengthBytes), path)
    const length = headerLength(prefix, size, path)
    const json = await readExactly(handle, headerLengthBytes, length, path)
    const dataStart = headerLengthBytes + length
    return parseHeader(json, size - dataStart, path).map(entry => ({
      name: entry.name,
      dtype: entry.dtype,
      shape: entry.shape,
      file,
      offset: dataStart + entry.begin,
      byteLength: entry.end - entry.begin
    }))
  })
}

/** One tensor's bytes. */
export function readTensor(tensor: StoredTensor): Promise<Uint8Array> {
  return withFile(tensor.file, handle => readExactly(handle, tensor.offset, tensor.byteLength, tensor.file))
}

/** One tensor's bytes in chunks, of which one is in memory. */
export function readChunks(tensor: StoredTensor, chunkBytes: number, take: (chunk: Uint8Array) => void): Promise<void> {
  return withFile(tensor.file, async handle => {
    for (let done = 0; done < tensor.byteLength; done += chunkBytes) {
      const length = Math.min(chunkBytes, tensor.byteLength - done)
      take(await readExactly(handle, tensor.offset + done, length, tensor.file))
    }
  })
}

async function withFile<T>(path: string, use: (handle: FileHandle, file: string) => Promise<T>): Promise<T> {
  const { handle, file } = await openFile(path)
  try {
    return await use(handle, file)
  } finally {
    await handle.close()
  }
}

async function openFile(path: string): Promise<{ handle: FileHandle; file: string }> {
  try {
    const file = await realpath(path)
    if (!(await stat(file)).isFile()) throw notFound(path, 'is no file')
    return { handle: await open(file), file }
  } catch (cause) {
    if (cause instanceof ModelFileError) throw cause
    throw notFound(path, isMissing(cause) ? 'does not exist' : `cannot be opened: ${fileProblem(cause)}`, cause)
  }
}

function notFound(path: string, why: string, cause?: unknown): ModelFileError {
  return new ModelFileError(
    'MODEL_NOT_FOUND',
    `${path} ${why}; a model's folder holds config.json and its safetensors files`,
    { details: { path }, cause }
  )
}

/** Reads `length` bytes at `position`, or fails when the file ends before. */
async function readExactly(handle: FileHandle, position: number, length: number, path: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(bytes, done, length - done, position + done)
    if (bytesRead === 0) {
      throw new ModelFileError(
        'SAFETENSORS_TRUNCATED',
        `${path} ends at byte ${position + done}, before the ${length} bytes at ${position}`,
        {
          details: { path }
        }
      )
    }
    done += bytesRead
  }
  return bytes
}
