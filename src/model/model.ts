import type { GenerationDefaults } from './config/generation.ts'
import type { TensorIndex } from './safetensors/tensors.ts'
import type { ModelSpec } from './spec.ts'
import type { Tokenizer } from './tokenizer/tokenizer.ts'

/** A model's folder whose configuration and headers were read and fit each other. Weights are read when asked for. */
export interface Model {
  /** Absolute path with symbolic links resolved. */
  readonly folder: string
  /** The folder's last part: for people, never compared. */
  readonly name: string
  readonly spec: ModelSpec
  readonly tensors: TensorIndex
  readonly generation: GenerationDefaults
  /** 32 bytes; equal on every node that has the same model. */
  digest(): Promise<Uint8Array>
  /** 32 bytes over everything that one block consists of. */
  blockDigest(block: number): Promise<Uint8Array>
  /**
   * One tensor's bytes as stored.
   *
   * @throws ModelFileError MODEL_TENSOR_MISSING, SAFETENSORS_TRUNCATED
   */
  readTensor(name: string): Promise<Uint8Array>
  /**
   * Null where the folder has no `tokenizer.json`.
   *
   * @throws ModelFileError MODEL_TOKENIZER
   */
  tokenizer(): Promise<Tokenizer | null>
}
