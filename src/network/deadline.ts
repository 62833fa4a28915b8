import { setMaxListeners } from 'node:events'
import { type Clock, CancelledError, systemClock, TimeoutError } from '../base/index.ts'

export interface Deadline {
  /** What is waited for, as errors name it: "dial", "open stream". */
  readonly phase: string
  readonly limitMs: number
  readonly signal?: AbortSignal | undefined
  /** @default systemClock */
  readonly clock?: Clock
}

/**
 * Runs `work` with a signal that aborts at the limit or with the caller's. The promise settles then even where the
 * work does not listen to its signal.
 *
 * @throws TimeoutError at the limit, CancelledError when the caller's signal aborts
 */
export async function withDeadline<T>(deadline: Deadline, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { phase, limitMs, signal, clock = systemClock } = deadline
  if (signal?.aborted === true) throw new CancelledError(phase, { cause: signal.reason })
  const controller = new AbortController()
  // libp2p listens to it once for each read and write of a negotiation.
  setMaxListeners(0, controller.signal)
  const onAbort = (): void => controller.abort(new CancelledError(phase, { cause: signal?.reason }))
  signal?.addEventListener('abort', onAbort, { once: true })
  const cancel = clock.after(limitMs, () => controller.abort(new TimeoutError(phase, limitMs)))
  try {
    const aborted = new Promise<never>((_, reject) => {
      controller.signal.addEventListener('abort', () => reject(controller.signal.reason as Error), { once: true })
    })
    return await Promise.race([work(controller.signal), aborted])
  } catch (error) {
    throw controller.signal.aborted ? controller.signal.reason : error
  } finally {
    cancel()
    signal?.removeEventListener('abort', onAbort)
  }
}
