export { BackOff, type BackOffInit } from './back-off.ts'
export { type Clock, keepAlive, ManualClock, pause, systemClock } from './clock.ts'
export { counted } from './counted.ts'
export {
  AndthenError,
  CancelledError,
  type ErrorOptions,
  namingFlag,
  NotAvailableError,
  TimeoutError,
  toAndthenError,
  UsageError
} from './errors.ts'
export { fileProblem, makeProblem } from './file-problem.ts'
export {
  createLogger,
  type LogFormat,
  type Logger,
  type LoggerInit,
  type LogLevel,
  logLevels,
  silentLogger
} from './logger.ts'
export { makeFolder } from './make-folder.ts'
export { version } from './version.ts'
