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
