import type { OnnxType } from '../onnx/builder.ts'

/** The type that weights are computed in and caches are kept in. Hidden states enter and leave a graph as float32. */
export const computeType: OnnxType = 'float32'

export const computeBytes = 4
