import type { Clock } from '../../base/index.ts'
import type { Mismatch } from '../../wire/index.ts'
import { EVIDENCE_MS } from './constants.ts'
import type { SpanSession } from './span-session.ts'

/** Waits for what the downstream server has to say, where it has not said it: it was told the right digest just now. */
export function awaitMismatch(session: SpanSession, clock: Clock): Promise<Mismatch | null> {
  return new Promise(resolve => {
    const cancel = clock.after(EVIDENCE_MS, () => resolve(null))
    const settle = (mismatch: Mismatch | null): void => {
      cancel()
      resolve(mismatch)
    }
    session.listen({
      onOutput: () => null,
      onTensor: () => undefined,
      onNeedCopy: () => undefined,
      onMismatch: settle,
      onEnd: () => settle(null)
    })
  })
}
