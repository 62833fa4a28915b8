import { CancelledError } from '../base/index.ts'
import { exitStatus } from './report.ts'

const signals = ['SIGINT', 'SIGTERM'] as const

/** The first SIGINT or SIGTERM aborts the signal, so that work ends in good order; the second ends the process at once. */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController()
  const interrupt = () => {
    if (controller.signal.aborted) process.exit(exitStatus.interrupted)
    controller.abort()
  }
  for (const signal of signals) process.on(signal, interrupt)
  return controller.signal
}

/**
 * Work that takes no signal: when that is aborted it is left where it is, and the process ends.
 *
 * @param what for people: `reading stdin`
 * @throws CancelledError
 */
export async function interruptible<T>(what: string, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) throw new CancelledError(what)
  const interrupted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(new CancelledError(what)), { once: true })
  })
  return Promise.race([work(), interrupted])
}
