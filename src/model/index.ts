export { supportedArchitectures } from './architectures/index.ts'
export type { GenerationDefaults, SamplingDefaults } from './config/generation.ts'
export { type ModelFileCode, ModelFileError } from './errors.ts'
export { buildCopyGraph } from './graph/copy.ts'
export { buildEmbedGraph, buildHeadGraph } from './graph/ends.ts'
export { buildSpanGraph, type SpanGraphInit } from './graph/span.ts'
export { buildTrialGraph, trialSize, trialWeight } from './graph/trial.ts'
export type { Model } from './model.ts'
export { openModel, type OpenModelOptions } from './open.ts'
export type { StoredTensor, TensorIndex } from './safetensors/tensors.ts'
export { kvBytesPerToken, spanBytes, storedDtype } from './sizes.ts'
export type { ModelSpec } from './spec.ts'
export type { ChatMessage } from './tokenizer/chat.ts'
export { DetokenizerStream } from './tokenizer/detokenizer.ts'
export type { EncodeOptions, Tokenizer } from './tokenizer/tokenizer.ts'
export type {
  BlockRange,
  ComputeType,
  EmbedGraph,
  HeadGraph,
  KvLayer,
  OnnxGraph,
  SpanGraph,
  StoredDtype
} from './types.ts'
export { type RandomModelInit, writeRandomModel } from './synthetic.ts'
