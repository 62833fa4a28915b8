/** How the CUDA provider uses its device; what is absent is as ONNX Runtime has it, but for `arena`. */
export interface CudaOptions {
  /** Bytes that the provider's arena may take: the KV cache and what runs need, not the weights. @default all there is */
  readonly memoryLimit?: number
  /**
   * How the arena grows: by what was asked for, or by doubling, ONNX Runtime's own default, which leaves up to half of a
   * device unused behind a large KV cache. @default 'exact'
   */
  readonly arena?: CudaArena
  /** Capture the runs of one token, a graph a window of rows, and replay them. @default false */
  readonly graph?: boolean
}

export type CudaArena = 'exact' | 'doubling'

const strategies: Readonly<Record<CudaArena, string>> = { exact: 'kSameAsRequested', doubling: 'kNextPowerOfTwo' }

/** As OrtCUDAProviderOptionsV2 takes them, by UpdateCUDAProviderOptions (CUDA-ExecutionProvider in ONNX Runtime's manual). */
export function providerOptions(id: number, options: CudaOptions): Record<string, string> {
  const { memoryLimit, arena = 'exact', graph = false } = options
  return {
    device_id: String(id),
    arena_extend_strategy: strategies[arena],
    enable_cuda_graph: graph ? '1' : '0',
    ...(memoryLimit === undefined ? {} : { gpu_mem_limit: String(memoryLimit) })
  }
}
