export { type Clock, keepAlive, ManualClock, pause, systemClock } from './clock.ts'
export {
  AndthenError,
  CancelledError,
  type ErrorOptions,
  NotAvailableError,
  TimeoutError,
  toAndthenError,
  UsageError
} from './errors.ts'
export {
  createLogger,
  type LogFormat,
  type Logger,
  type LoggerInit,
  type LogLevel,
  logLevels,
  silentLogger
} from './logger.ts'
export { version } from './version.ts'
