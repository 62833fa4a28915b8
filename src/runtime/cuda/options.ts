/** How the CUDA provider uses its device; what is absent is as ONNX Runtime has it, but for `arena`. */
export interface CudaOptions {
  /**
   * Bytes that the provider may take for weights, KV cache and what runs need. ONNX Runtime counts weights among what its
   * arena has, and where they alone are more, its subtraction wraps around to no limit at all (BFCArena::Reserve, Extend).
   * @default all there is
   */
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

/**
 * Flash attention, memory-efficient attention and plain products, of AttentionBackend in contrib_ops/cpu/bert/attention_common.h.
 * Left to itself, 1.30 takes cuDNN's where that library is found and the GPU is of compute capability 9 or later: it compiles
 * a plan for each length of a piece of a prompt, in each thread, and a span's numbers would depend on what else is
 * installed. XQA, which decodes of the usual shapes would take before any of these, is off (xqa.ts).
 */
const attentionKernels = 1 | 2 | 16

const strategies: Readonly<Record<CudaArena, string>> = { exact: 'kSameAsRequested', doubling: 'kNextPowerOfTwo' }

/** As OrtCUDAProviderOptionsV2 takes them, by UpdateCUDAProviderOptions (CUDA-ExecutionProvider in ONNX Runtime's manual). */
export function providerOptions(id: number, options: CudaOptions): Record<string, string> {
  const { memoryLimit, arena = 'exact', graph = false } = options
  return {
    device_id: String(id),
    arena_extend_strategy: strategies[arena],
    enable_cuda_graph: graph ? '1' : '0',
    sdpa_kernel: String(attentionKernels),
    ...(memoryLimit === undefined ? {} : { gpu_mem_limit: String(memoryLimit) })
  }
}
