import { AndthenError, toAndthenError } from '../base/index.ts'
import type { ModelFileCode } from '../model/index.ts'

/** Flags whose values only the work itself can tell to be wrong, by the error that says so. */
const culprits: Readonly<Record<ModelFileCode | 'IDENTITY' | 'RUNTIME_LOAD', string>> = {
  MODEL_NOT_FOUND: 'model',
  MODEL_CONFIG: 'model',
  MODEL_ARCHITECTURE: 'model',
  MODEL_TENSOR_MISSING: 'model',
  MODEL_TENSOR_SHAPE: 'model',
  MODEL_TOKENIZER: 'model',
  SAFETENSORS_HEADER: 'model',
  SAFETENSORS_TRUNCATED: 'model',
  SAFETENSORS_DTYPE: 'model',
  IDENTITY: 'identity',
  RUNTIME_LOAD: 'onnxruntime'
}

/** Tells an error with the flag or the variable whose value is the reason for it, where one was given. */
export type Blame = (thrown: unknown) => AndthenError

/** @param sources where each value that was given came from, by the flag's key: `--model`, or `ANDTHEN_MODEL` */
export function blaming(sources: Readonly<Record<string, string>>): Blame {
  return thrown => {
    const error = toAndthenError(thrown)
    const { code, message, retryable, details } = error
    const source = sources[(culprits as Readonly<Record<string, string>>)[code] ?? '']
    if (source === undefined) return error
    // Of a graph that does not load, no folder is the reason.
    if (code === 'RUNTIME_LOAD' && details['library'] === undefined) return error
    return new AndthenError(code, `${source}: ${message}`, { retryable, details, cause: error })
  }
}
