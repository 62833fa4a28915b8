import { ModelFileError } from './errors.ts'
import { isStoredDtype, storedDtypes } from './safetensors/dtype.ts'
import type { StoredTensor, TensorIndex } from './safetensors/tensors.ts'
import type { StoredDtype } from './types.ts'

/** A tensor that a model must have. */
export interface TensorNeed {
  readonly name: string
  readonly shape: readonly number[]
}

/** A linear layer's tensors: `weight` [out, in] and, where the layer has one, `bias` [out]. */
export interface LinearNeed {
  readonly weight: TensorNeed
  readonly bias?: TensorNeed
}

/** A tensor whose type is one that weights are read in. */
export type WeightTensor = StoredTensor & { readonly dtype: StoredDtype }

/**
 * The tensor that a model needs, checked against what the file has.
 *
 * @param part what needs it, for the message: `block 3`, `the head`
 * @throws ModelFileError MODEL_TENSOR_MISSING, MODEL_TENSOR_SHAPE, SAFETENSORS_DTYPE
 */
export function requireTensor(tensors: TensorIndex, need: TensorNeed, part = 'the model'): WeightTensor {
  const found = tensors.get(need.name)
  const details = { part, tensor: need.name }
  if (found === undefined) {
    throw new ModelFileError(
      'MODEL_TENSOR_MISSING',
      `${part} needs tensor ${need.name}, which the model's files lack`,
      { details }
    )
  }
  if (!isWeight(found)) {
    throw new ModelFileError(
      'SAFETENSORS_DTYPE',
      `${found.file}: tensor ${need.name} of ${part} is stored as ${found.dtype}; weights are read as ${storedDtypes.join(', ')}: convert the file`,
      { details: { ...details, path: found.file, dtype: found.dtype } }
    )
  }
  if (found.shape.length !== need.shape.length || found.shape.some((size, i) => size !== need.shape[i])) {
    throw new ModelFileError(
      'MODEL_TENSOR_SHAPE',
      `${found.file}: tensor ${need.name} of ${part} is [${found.shape.join(', ')}] in the file and [${need.shape.join(', ')}] by config.json`,
      { details: { ...details, path: found.file, shape: found.shape, expected: need.shape } }
    )
  }
  return found
}

function isWeight(tensor: StoredTensor): tensor is WeightTensor {
  return isStoredDtype(tensor.dtype)
}
