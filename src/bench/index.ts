export { MeasurementError, ProcessError } from './errors.ts'
export { freeze, killHard, NoSuchProcessError, thaw } from './fault.ts'
export type { LinkEnd, Target } from './lab/connection.ts'
export { type EchoServer, startEcho } from './lab/echo.ts'
export type { Directions, Link, LinkInit } from './lab/link.ts'
export { type LinkMeasurement, type MeasureInit, measureLink } from './lab/measure.ts'
export { Relay, startLink } from './lab/relay.ts'
export type { Direction, LinkShape } from './lab/shape.ts'
export type { LinkStats } from './lab/shaped-link.ts'
export type { LaneStats } from './lab/tally.ts'
export { interleave, type Trial } from './order.ts'
export { type ReadyEvent, type ServerInit, ServerProcess, startServers } from './processes.ts'
export { createRng, type Rng } from './rng.ts'
export { bootstrapInterval, type Interval, mean, percentile, type Summary, summarize } from './statistics.ts'
export { describeMachine, type Machine, type Versions, versions } from './machine.ts'
export { plotSteps } from './plot.ts'
export {
  type BenchReport,
  createReport,
  type LinkReport,
  relayCongestionControl,
  type VariantResult
} from './report.ts'
export { type RunSamples, SamplesFile } from './samples.ts'
export { formatTable } from './table.ts'
export { benchSpan, type SpanBenchInit, type SpanBenchResult } from './span.ts'
export { benchRoutes, type RoutesInit } from './routes.ts'
export { benchChain, type ChainInit } from './chain.ts'
