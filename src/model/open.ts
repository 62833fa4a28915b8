import { realpath, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { z } from 'zod'
import { CancelledError } from '../base/index.ts'
import { architectureOf, specOf } from './architectures/index.ts'
import { readGeneration } from './config/generation.ts'
import { blockDigest, modelDigest } from './digest.ts'
import { ModelFileError } from './errors.ts'
import { readJson } from './json.ts'
import type { Model } from './model.ts'
import { requireTensor } from './needs.ts'
import { indexTensors, readTensor } from './safetensors/files.ts'
import type { TensorIndex } from './safetensors/tensors.ts'
import type { ModelSpec } from './spec.ts'
import { loadTokenizer } from './tokenizer/load.ts'
import type { Tokenizer } from './tokenizer/tokenizer.ts'

export interface OpenModelOptions {
  signal?: AbortSignal
}

/**
 * Opens a Hugging Face folder: `config.json`, `generation_config.json` and the headers of its safetensors files, no
 * weights. Every tensor that the configuration calls for is checked to be there, in its shape and a readable type.
 *
 * @throws ModelFileError, whose message names the file, block and tensor; CancelledError
 */
export async function openModel(path: string, options: OpenModelOptions = {}): Promise<Model> {
  try {
    return await openFolder(resolve(path), options.signal)
  } catch (thrown) {
    if (options.signal?.aborted === true) throw new CancelledError(`opening ${path}`, { cause: thrown })
    throw thrown
  }
}

async function openFolder(path: string, signal: AbortSignal | undefined): Promise<Model> {
  const folder = await realFolder(path)
  signal?.throwIfAborted()
  const configPath = join(path, 'config.json')
  const config = await readJson(configPath, z.unknown(), signal)
  if (config === null) throw notFound(path, 'has no config.json')
  const spec = specOf(config, configPath)
  const generation = await readGeneration(path, signal)
  const tensors = await indexTensors(path, signal)
  requireTensors(spec, tensors)
  let digest: Promise<Uint8Array> | undefined
  let tokenizer: Promise<Tokenizer | null> | undefined
  return {
    folder,
    name: basename(path),
    spec,
    tensors,
    generation,
    digest: () => (digest ??= modelDigest({ spec, tensors })),
    blockDigest: block => blockDigest({ spec, tensors }, block),
    readTensor: name => readNamed(tensors, name),
    tokenizer: () => (tokenizer ??= loadTokenizer(path))
  }
}

async function realFolder(path: string): Promise<string> {
  const found = await stat(path).catch(() => null)
  if (found === null) throw notFound(path, 'does not exist')
  if (!found.isDirectory()) throw notFound(path, 'is not a folder')
  return realpath(path)
}

function notFound(path: string, why: string): ModelFileError {
  return new ModelFileError(
    'MODEL_NOT_FOUND',
    `${path} ${why}; give the folder of a Hugging Face model, with config.json and safetensors files`,
    { details: { path } }
  )
}

function requireTensors(spec: ModelSpec, tensors: TensorIndex): void {
  const architecture = architectureOf(spec)
  for (const need of architecture.embedNeeds(spec)) requireTensor(tensors, need, 'the embedding')
  for (let block = 0; block < spec.blocks; block++) {
    for (const need of architecture.blockNeeds(spec, block)) requireTensor(tensors, need, `block ${block}`)
  }
  for (const need of architecture.headNeeds(spec)) requireTensor(tensors, need, 'the head')
}

function readNamed(tensors: TensorIndex, name: string): Promise<Uint8Array> {
  const tensor = tensors.get(name)
  if (tensor !== undefined) return readTensor(tensor)
  return Promise.reject(
    new ModelFileError('MODEL_TENSOR_MISSING', `the model has no tensor ${JSON.stringify(name)}`, {
      details: { tensor: name }
    })
  )
}
