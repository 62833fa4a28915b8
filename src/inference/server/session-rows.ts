import type { SpanRunner } from '../../runtime/index.ts'
import { type Rows, type Session } from '../../session/index.ts'
import { RequestError } from '../errors.ts'

/** The runner's KV slab as the session table sees it. */
export function sessionRows(runner: SpanRunner, kvBytesPerToken: number): Rows {
  const slotOf = ({ id, row }: Session): number => {
    if (row === undefined) throw new RequestError('RUN_FAILED', `session ${id} has no row`)
    return row.slot
  }
  return {
    release: session => runner.release(slotOf(session)),
    stateBytes: session => runner.length(slotOf(session)) * kvBytesPerToken,
    // Without a parking lot the table never asks for these.
    save: session => Promise.reject(new RequestError('NOT_AVAILABLE', `session ${session.id} cannot be parked`)),
    load: session => Promise.reject(new RequestError('NOT_AVAILABLE', `session ${session.id} cannot be parked`))
  }
}
