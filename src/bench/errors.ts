import { AndthenError } from '../base/index.ts'

/** A process of the laboratory (a server, the relay) did not start, or ended on its own. */
export class ProcessError extends AndthenError {
  override readonly name = 'ProcessError'
  constructor(message: string, details: { pid: number | undefined; exitCode: number | null; stderr?: string }) {
    super('PROCESS_FAILED', message, { details })
  }
}

/** A measurement that cannot stand for what it should. */
export class MeasurementError extends AndthenError {
  override readonly name = 'MeasurementError'
  constructor(message: string, options: { cause?: unknown } = {}) {
    super('MEASUREMENT_FAILED', message, options)
  }
}
