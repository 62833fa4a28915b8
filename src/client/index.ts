/** The client: chains servers' spans into a whole model, and generates text through them whatever becomes of single servers. */
export type { RouteName } from './server-choice.ts'
export { connect, type ConnectComponents, type ConnectInit, Connection } from './connection.ts'
export type { Candidate } from './directory.ts'
export type { Distribution } from './distribution.ts'
export { BlocksNotCoveredError, ModelMismatchError, PromptTooLongError } from './errors.ts'
export type { HopFigures, LatencyFigures, PushFigures, TimedStep } from './figures.ts'
export { type FloorParts, type FloorRoute, floorMs } from './floor.ts'
export type {
  FinishReason,
  GeneratedToken,
  Generation,
  GenerationResult,
  GenerationSettings
} from './generation.ts'
export type { RoutePrediction } from './prediction.ts'
export { type Prompt, promptIdsOf } from './prompt.ts'
export type { GenerateOptions, RawTimes } from './run-generation.ts'
export type { ResolvedSampling, SamplingSettings } from './sampling-settings.ts'
