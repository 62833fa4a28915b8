import { dirname, relative, resolve, sep } from 'node:path'

/** One tensor of a model and where its bytes lie. */
export interface StoredTensor {
  readonly name: string
  /** As safetensors names it; weights that are computed with are a `StoredDtype`. */
  readonly dtype: string
  readonly shape: readonly number[]
  /** Absolute path with symbolic links resolved. */
  readonly file: string
  /** First byte in the file. */
  readonly offset: number
  readonly byteLength: number
}

/** Every tensor of a model by name, wherever its shards keep them. */
export type TensorIndex = ReadonlyMap<string, StoredTensor>

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1)
}

/** The deepest folder that holds every file of the model: links of a download cache may lead out of the model's own. */
export function commonFolder(tensors: TensorIndex): string {
  const files = new Set([...tensors.values()].map(tensor => tensor.file))
  return [...files].map(file => dirname(file)).reduce(commonAncestor)
}

function commonAncestor(a: string, b: string): string {
  let folder = a
  while (relative(folder, b).split(sep)[0] === '..') folder = resolve(folder, '..')
  return folder
}
