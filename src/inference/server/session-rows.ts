import type { SpanRunner } from '../../runtime/index.ts'
import type { Rows, Session } from '../../session/index.ts'
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
    save: session => runner.save(slotOf(session)),
    load: (session, state) => runner.load(slotOf(session), state)
  }
}
