import { pino } from 'pino'
import { type PrettyOptions, PinoPretty as pretty } from 'pino-pretty'

/** Context is an object of plain values, never a tensor. Levels: a request once at info, its steps at trace. */
export interface Logger {
  trace(context: object, message: string): void
  debug(context: object, message: string): void
  info(context: object, message: string): void
  warn(context: object, message: string): void
  error(context: object, message: string): void
  child(bindings: object): Logger
}

export const logLevels = ['silent', 'error', 'warn', 'info', 'debug', 'trace'] as const
export type LogLevel = (typeof logLevels)[number]
export type LogFormat = 'pretty' | 'json'

export interface LoggerInit {
  /** @default 'info' */
  level?: LogLevel
  /** @default 'json' */
  format?: LogFormat
  /** Where lines go: results own stdout, so logs go to stderr. @default 2 */
  fd?: number
  /** @default false */
  colour?: boolean
}

export function createLogger(init: LoggerInit = {}): Logger {
  const fd = init.fd ?? 2
  const options = { level: init.level ?? 'info', base: null }
  if ((init.format ?? 'json') === 'json') return pino(options, pino.destination({ fd, sync: true }))
  const look: PrettyOptions = {
    destination: fd,
    sync: true,
    colorize: init.colour ?? false,
    translateTime: 'HH:MM:ss.l'
  }
  return pino(options, pretty(look))
}

export const silentLogger: Logger = pino({ level: 'silent' })
