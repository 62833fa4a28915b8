import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CancelledError } from '../base/index.ts'
import { architectureOf, specOf } from './architectures/index.ts'
import type { TensorNeed } from './needs.ts'
import { encodeFloats } from './safetensors/encode.ts'
import { elementCount } from './safetensors/tensors.ts'
import { writeSafetensors } from './safetensors/write.ts'
import type { StoredDtype } from './types.ts'

/** A Llama model's shape. */
export interface RandomModelInit {
  readonly blocks: number
  readonly hiddenSize: number
  readonly heads: number
  readonly kvHeads: number
  readonly mlpSize: number
  readonly vocabSize: number
  readonly maxLength: number
  /** @default hiddenSize / heads */
  readonly headDim?: number
  /** Attention and MLP with biases. @default false */
  readonly bias?: boolean
  /** @default false */
  readonly tiedHead?: boolean
  /** @default 'F32' */
  readonly dtype?: StoredDtype
  /** @default 1 */
  readonly seed?: number
}

/**
 * Writes a model's folder with random weights, equal for equal arguments, for benchmarks and tests. No two tensors are
 * equal: ONNX Runtime keeps one copy of those that are, which would make a span look smaller and faster than it is.
 *
 * @throws CancelledError when `signal` aborts, between two tensors
 */
export async function writeRandomModel(folder: string, init: RandomModelInit, signal?: AbortSignal): Promise<void> {
  const dtype = init.dtype ?? 'F32'
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    num_hidden_layers: init.blocks,
    hidden_size: init.hiddenSize,
    num_attention_heads: init.heads,
    num_key_value_heads: init.kvHeads,
    head_dim: init.headDim ?? init.hiddenSize / init.heads,
    intermediate_size: init.mlpSize,
    vocab_size: init.vocabSize,
    max_position_embeddings: init.maxLength,
    hidden_act: 'silu',
    rms_norm_eps: 1e-5,
    attention_bias: init.bias ?? false,
    mlp_bias: init.bias ?? false,
    tie_word_embeddings: init.tiedHead ?? false,
    rope_parameters: { rope_type: 'default', rope_theta: 10_000 }
  }
  await mkdir(folder, { recursive: true })
  const path = join(folder, 'config.json')
  await writeFile(path, `${JSON.stringify(config, null, 2)}\n`)
  const needs = neededTensors(config, path)
  const seed = init.seed ?? 1
  await writeSafetensors(
    join(folder, 'model.safetensors'),
    needs.map(({ name, shape }, i) => ({
      name,
      shape,
      dtype,
      bytes: () => {
        if (signal?.aborted === true) throw new CancelledError('writing the model')
        return encodeFloats(randomWeights(shape, seed * 1_000_003 + i), dtype)
      }
    }))
  )
}

/** In the order of Hugging Face's files, by name, which parts query, key and value. */
function neededTensors(config: object, path: string): TensorNeed[] {
  const spec = specOf(config, path)
  const architecture = architectureOf(spec)
  const needs = [...architecture.embedNeeds(spec)]
  for (let block = 0; block < spec.blocks; block++) needs.push(...architecture.blockNeeds(spec, block))
  needs.push(...architecture.headNeeds(spec))
  const distinct = [...new Map(needs.map(need => [need.name, need])).values()]
  return distinct.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Uniform with the deviation that keeps hidden states of order one; vectors vary around one, as norms do. */
function randomWeights(shape: readonly number[], seed: number): Float32Array {
  const values = new Float32Array(elementCount(shape))
  const columns = shape[1]
  const spread = columns === undefined ? 0.1 : Math.sqrt(3 / columns)
  const centre = columns === undefined ? 1 : 0
  // Marsaglia's xorshift32; its state must not be zero.
  let state = Math.imul(seed, 0x9e37_79b1) || 1
  for (let i = 0; i < values.length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    values[i] = centre + (state / 2 ** 31) * spread
  }
  return values
}
