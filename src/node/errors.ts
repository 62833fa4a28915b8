import { AndthenError, type ErrorOptions } from '../base/index.ts'

/** The span does not fit into the memory that there is; `details` says what is needed, free and would fit. */
export class MemoryError extends AndthenError {
  override readonly name = 'MemoryError'
  constructor(message: string, options: ErrorOptions = {}) {
    super('MEMORY', message, options)
  }
}

/** Blocks that the model does not have. */
export class BlocksError extends AndthenError {
  override readonly name = 'BlocksError'
  constructor(message: string, options: ErrorOptions = {}) {
    super('BLOCKS', message, options)
  }
}

/** A module of session hooks that is of no use; `details.file` names it. */
export class HooksError extends AndthenError {
  override readonly name = 'HooksError'
  constructor(file: string, problem: string, options: ErrorOptions = {}) {
    super('HOOKS', `--hooks: the module ${file} ${problem}`, { ...options, details: { file, ...options.details } })
  }
}
