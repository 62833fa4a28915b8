import { CancelledError } from '../base/index.ts'

/** @throws CancelledError when `signal` has aborted */
export function throwIfCancelled(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted === true) throw new CancelledError(what)
}
