import type { Clock } from '../base/index.ts'

export interface AddressRaceInit {
  /** How long an address is tried before the next one is as well, ms. */
  readonly staggerMs: number
  readonly clock: Clock
  readonly signal: AbortSignal
}

/**
 * Tries one address after the other, the next as soon as one has failed or takes longer than those do that answer, until
 * one is reached: then the others are given up ("happy eyeballs", RFC 8305). One that swallows packets delays nothing.
 *
 * @param attempts one at the least
 * @throws what the only one failed with, or an AggregateError of all
 */
export function raceAddresses<T>(
  attempts: readonly ((signal: AbortSignal) => Promise<T>)[],
  { staggerMs, clock, signal }: AddressRaceInit
): Promise<T> {
  const losers = new AbortController()
  const either = AbortSignal.any([signal, losers.signal])
  const errors: unknown[] = []
  let begun = 0
  let cancel = (): void => undefined
  return new Promise<T>((resolve, reject) => {
    const fail = (error: Error): void => {
      errors.push(error)
      if (errors.length < attempts.length && !signal.aborted) begin()
      else reject(errors.length === 1 ? error : new AggregateError(errors, 'no address was reached'))
    }
    const begin = (): void => {
      cancel()
      const attempt = attempts[begun++]
      if (attempt === undefined || losers.signal.aborted) return
      cancel = clock.after(staggerMs, begin)
      attempt(either).then(resolve, fail)
    }
    begin()
  }).finally(() => {
    cancel()
    losers.abort()
  })
}
