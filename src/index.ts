import './base/polyfill.ts'

export {
  AndthenError,
  CancelledError,
  createLogger,
  type Logger,
  type LogLevel,
  NotAvailableError,
  TimeoutError,
  UsageError
} from './base/index.ts'
export {
  BlocksNotCoveredError,
  type GeneratedToken,
  type Generation,
  type GenerationResult,
  ModelMismatchError,
  PromptTooLongError
} from './client/index.ts'
export { RemoteError, SessionTerminatedError } from './inference/index.ts'
export { ModelFileError } from './model/index.ts'
export {
  ConnectionLostError,
  IdentityError,
  ListenError,
  PeerUnreachableError,
  RateLimitedError
} from './network/index.ts'
export * from './node/index.ts'
export type { EndReason } from './session/index.ts'
