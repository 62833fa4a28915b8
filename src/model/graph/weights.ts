import { relative, sep } from 'node:path'
import type { GraphBuilder, OnnxType } from '../onnx/builder.ts'
import { requireTensor, type TensorNeed, type WeightTensor } from '../needs.ts'
import { commonFolder, elementCount, type TensorIndex } from '../safetensors/tensors.ts'
import type { ComputeType, StoredDtype } from '../types.ts'
import { computeBytes, onnxTypeOf } from './compute.ts'

const onnxTypes: Readonly<Record<StoredDtype, OnnxType>> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' }

/**
 * The weights of a graph: external data that points into the model's files, cast where they are stored in another type
 * than they are computed in. The cast's input is constant, so ONNX Runtime folds it when it loads. How a matrix is
 * represented is decided here and in `Layers.linear` only.
 */
export class Weights {
  readonly #graph: GraphBuilder
  readonly #tensors: TensorIndex
  /** What matrices are computed in. */
  readonly compute: ComputeType
  /** Absolute path that the locations of external data are relative to. */
  readonly folder: string
  readonly #loaded = new Map<string, string>()
  #loadedBytes = 0

  constructor(graph: GraphBuilder, tensors: TensorIndex, compute: ComputeType) {
    this.#graph = graph
    this.#tensors = tensors
    this.compute = compute
    this.folder = commonFolder(tensors)
  }

  /** Bytes of the weights used so far, once loaded. */
  get loadedBytes(): number {
    return this.#loadedBytes
  }

  /** The tensor in the type that is computed in, or another one. */
  load(need: TensorNeed, type: ComputeType = this.compute): string {
    return this.#load(need.name, [this.#find(need)], need.shape, type)
  }

  /** The tensor as stored; what is taken from it is cast by the caller. */
  stored(need: TensorNeed): string {
    const tensor = this.#find(need)
    this.#loadedBytes += tensor.byteLength
    return this.#external(need.name, tensor, need.shape, tensor.byteLength)
  }

  /** The tensors' rows as one matrix, or null when they do not follow one another in one file. */
  stack(needs: readonly TensorNeed[], name: string): string | null {
    const tensors = needs.map(need => this.#find(need))
    const follows = tensors.every((tensor, i) => {
      const before = tensors[i - 1]
      if (before === undefined) return true
      const sameFile = tensor.file === before.file && tensor.dtype === before.dtype
      return sameFile && tensor.offset === before.offset + before.byteLength
    })
    if (!follows) return null
    const rows = needs.reduce((sum, need) => sum + (need.shape[0] ?? 0), 0)
    return this.#load(name, tensors, [rows, ...(needs[0]?.shape.slice(1) ?? [])], this.compute)
  }

  #load(name: string, tensors: readonly WeightTensor[], shape: readonly number[], compute: ComputeType): string {
    const known = this.#loaded.get(name)
    if (known !== undefined) return known
    const [first] = tensors
    if (first === undefined) throw new RangeError(`no tensors to load as ${name}`)
    const byteLength = tensors.reduce((sum, tensor) => sum + tensor.byteLength, 0)
    const external = this.#external(name, first, shape, byteLength)
    const type = onnxTypeOf(compute)
    const value = onnxTypes[first.dtype] === type ? external : this.#graph.cast(external, type, `${name}.cast`)
    this.#loaded.set(name, value)
    this.#loadedBytes += elementCount(shape) * computeBytes(compute)
    return value
  }

  #external(name: string, first: WeightTensor, shape: readonly number[], byteLength: number): string {
    return this.#graph.external(name, onnxTypes[first.dtype], shape, {
      location: relative(this.folder, first.file).split(sep).join('/'),
      offset: first.offset,
      byteLength
    })
  }

  #find(need: TensorNeed): WeightTensor {
    return requireTensor(this.#tensors, need)
  }
}
