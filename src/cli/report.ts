import { type AndthenError, toAndthenError } from '../base/index.ts'
import type { LogSettings } from './command.ts'
import type { Terminal } from './terminal.ts'

export const exitStatus = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const

/** Codes that mean the caller asked for something that cannot be, rather than that something failed. */
const callersMistake: ReadonlySet<string> = new Set(['USAGE', 'NOT_AVAILABLE', 'BLOCKS', 'HOOKS', 'MODEL_NOT_FOUND'])

function statusOf(error: AndthenError): number {
  if (callersMistake.has(error.code)) return exitStatus.usage
  return error.code === 'CANCELLED' ? exitStatus.interrupted : exitStatus.failed
}

/** Tells people what went wrong, in one line; with `--log-level debug` also where. Returns the exit status. */
export function reportError(thrown: unknown, terminal: Terminal, log: LogSettings): number {
  const error = toAndthenError(thrown)
  const message = error.message.replace(/\s*\n\s*/g, ' ')
  const detailed = log.logLevel === 'debug' || log.logLevel === 'trace'
  if (log.logFormat === 'json') {
    const stack = detailed ? { stack: stackOf(error) } : {}
    terminal.err(`${JSON.stringify({ level: 'error', code: error.code, details: error.details, message, ...stack })}\n`)
  } else {
    terminal.err(`${terminal.paint('err', 'red', 'error:')} ${message}\n`)
    if (detailed) terminal.err(`${stackOf(error)}\n`)
  }
  return statusOf(error)
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : ''
  return `${error.stack ?? error.message}${cause}`
}
