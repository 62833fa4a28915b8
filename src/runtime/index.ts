export type { BindingName } from './binding.ts'
export { type BareDecode, type BareDecodeInit, loadBareDecode } from './c-api/index.ts'
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
