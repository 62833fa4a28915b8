/**
 * ONNX Runtime 1.30 decodes by XQA (contrib_ops/cuda/bert/xqa/mha_impl.cuh). Where a row's past is split over several blocks, its
 * last block reads whether it is the last from shared memory that its own warps write meanwhile, and the others may store
 * their part of the result after it stored the whole: a row is then wrong, and nothing says so. FlashInfer met the second on
 * a GPU (its pull request 4161); both were seen with the kernels of 1.27 interpreted, and 1.30's have the same order. Flash
 * attention decodes in its place, unless the variable is set to something else: no provider option reaches this. To be
 * called on the main thread, whose environment is the process's, before a graph is loaded.
 */
export function withoutXqa(): void {
  process.env['ORT_ENABLE_XQA'] ??= '0'
}
