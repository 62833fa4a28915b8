import { AndthenError, type ErrorOptions } from '../base/index.ts'

/** What can be wrong with a model's folder; stable, programs compare these. */
export type ModelFileCode =
  | 'MODEL_NOT_FOUND'
  | 'MODEL_CONFIG'
  | 'MODEL_ARCHITECTURE'
  | 'MODEL_TENSOR_MISSING'
  | 'MODEL_TENSOR_SHAPE'
  | 'MODEL_TOKENIZER'
  | 'SAFETENSORS_HEADER'
  | 'SAFETENSORS_TRUNCATED'
  | 'SAFETENSORS_DTYPE'

/** A model's folder, or a file in it, cannot be used. `details.path` names the file. */
export class ModelFileError extends AndthenError {
  override readonly name = 'ModelFileError'
  declare readonly code: ModelFileCode

  constructor(code: ModelFileCode, message: string, options: ErrorOptions = {}) {
    super(code, message, options)
  }
}
