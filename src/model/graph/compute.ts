import type { OnnxType } from '../onnx/builder.ts'
import type { ComputeType } from '../types.ts'

interface Compute {
  readonly onnx: OnnxType
  /** Of one element. */
  readonly bytes: number
}

/** The types that weights are computed in and caches are kept in. Hidden states enter and leave a graph as float32. */
const computes: Readonly<Record<ComputeType, Compute>> = {
  f32: { onnx: 'float32', bytes: 4 },
  f16: { onnx: 'float16', bytes: 2 },
  bf16: { onnx: 'bfloat16', bytes: 2 }
}

export function onnxTypeOf(compute: ComputeType): OnnxType {
  return computes[compute].onnx
}

export function computeBytes(compute: ComputeType): number {
  return computes[compute].bytes
}
