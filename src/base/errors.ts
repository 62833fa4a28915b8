/** What an error carries besides its message. */
export interface ErrorOptions {
  /** The same request may succeed later, or elsewhere. @default false */
  retryable?: boolean
  /** Values that a program may act on; JSON-safe. @default {} */
  details?: Record<string, unknown>
  cause?: unknown
}

/**
 * Every error that a user, a client or a peer may see. `code` is stable and is what programs compare; `message` is one
 * line for people: what was wrong, with the value, and what to do. Each room names its own subclasses.
 */
export class AndthenError extends Error {
  override readonly name: string = 'AndthenError'
  readonly code: string
  readonly retryable: boolean
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: string, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.retryable = options.retryable ?? false
    this.details = options.details ?? {}
  }
}

/** A flag, an argument or an option that makes no sense: the caller's mistake (exit status 2). */
export class UsageError extends AndthenError {
  override readonly name = 'UsageError'
  constructor(message: string, options: ErrorOptions = {}) {
    super('USAGE', message, options)
  }
}

/** A value that is known and not delivered by this version (exit status 2). */
export class NotAvailableError extends AndthenError {
  override readonly name = 'NotAvailableError'
  readonly what: string
  constructor(what: string, options: ErrorOptions = {}) {
    super('NOT_AVAILABLE', `${what} is not available in this version`, options)
    this.what = what
  }
}

/**
 * Puts the flag's name before what is wrong with its value: whoever knows the value seldom knows where it came from.
 * Other kinds of error speak for themselves.
 *
 * @throws UsageError and NotAvailableError, with the name
 */
export function namingFlag<T>(flag: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof UsageError) throw new UsageError(`${flag}: ${error.message}`, { cause: error })
    if (error instanceof NotAvailableError) throw new NotAvailableError(`${flag}: ${error.what}`, { cause: error })
    throw error
  }
}

/** A phase took longer than its limit; `details.phase` says which. */
export class TimeoutError extends AndthenError {
  override readonly name = 'TimeoutError'
  constructor(phase: string, limitMs: number, options: ErrorOptions = {}) {
    super('TIMEOUT', `${phase} took longer than ${limitMs} ms`, {
      retryable: true,
      ...options,
      details: { phase, limitMs, ...options.details }
    })
  }
}

/** The caller gave up (an aborted signal, Ctrl-C). */
export class CancelledError extends AndthenError {
  override readonly name = 'CancelledError'
  constructor(what: string, options: ErrorOptions = {}) {
    super('CANCELLED', `${what} was cancelled`, options)
  }
}

/** What was thrown, as an AndthenError: foreign errors keep their message and become `INTERNAL`. */
export function toAndthenError(thrown: unknown): AndthenError {
  if (thrown instanceof AndthenError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new AndthenError('INTERNAL', message, { cause: thrown })
}
