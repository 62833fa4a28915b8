import { AndthenError, type ErrorOptions } from '../base/index.ts'

/** A request that the admin server answers with an HTTP status of 4xx, or an address it cannot listen on. */
export class AdminError extends AndthenError {
  override readonly name = 'AdminError'
  readonly status: number
  constructor(
    code: 'FOREIGN_HOST' | 'TOKEN_WANTED' | 'NOT_FOUND' | 'ADMIN_ADDRESS' | 'BAD_REQUEST',
    status: number,
    message: string,
    options: ErrorOptions = {}
  ) {
    super(code, message, options)
    this.status = status
  }
}
