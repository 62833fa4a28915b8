import { AndthenError, type ErrorOptions } from '../base/index.ts'

export type WireErrorCode = 'FRAME_TOO_LARGE' | 'FRAME_MALFORMED' | 'TENSOR_TOO_LARGE' | 'FRAGMENT_OUT_OF_ORDER'

/** The other end broke the framing: nothing that follows on the stream can be trusted. */
export class WireError extends AndthenError {
  override readonly name = 'WireError'
  constructor(code: WireErrorCode, message: string, options: ErrorOptions = {}) {
    super(code, message, options)
  }
}
