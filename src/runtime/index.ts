export type { BindingName } from './binding.ts'
export {
  LengthExceededError,
  PositionError,
  RunInputError,
  RunnerBusyError,
  RunnerClosedError,
  RuntimeError,
  RuntimeLoadError,
  RuntimeRunError,
  SlotBusyError,
  SlotError
} from './errors.ts'
export { loadEnds, loadSpan, type RuntimeInit, type SpanInit } from './load.ts'
export type { EndsRunner, RunOptions, RuntimeInfo, SpanRun, SpanRunner } from './types.ts'
