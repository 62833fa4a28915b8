import { toAndthenError } from '../../base/index.ts'
import { WrongStatesError } from './span-client.ts'

/** A request that failed though nothing had disturbed its way. */
export interface Unexcused {
  readonly way: number
  readonly what: string
  readonly code: string
  readonly message: string
  /** ms since the soak began, and how long it took to fail. */
  readonly at: number
  readonly afterMs: number
}

/** Kept of those that should not be: the first ones tell what is wrong. */
const KEPT = 20

/** What became of the requests of a soak. */
export class Tally {
  readonly actions = new Map<string, number>()
  readonly acknowledged = new Set<number>()
  /** Ended well, and of those how many on a way that nothing disturbed; failed with an excuse, by code. */
  done = 0
  clear = 0
  readonly excused = new Map<string, number>()
  steps = 0
  unexcused = 0
  readonly kept: Unexcused[] = []

  acted(kind: string): void {
    this.actions.set(kind, (this.actions.get(kind) ?? 0) + 1)
  }

  succeeded(clear: boolean): void {
    this.done++
    if (clear) this.clear++
  }

  failed(thrown: unknown, excused: boolean, about: Omit<Unexcused, 'code' | 'message'>): void {
    const { code, message } = toAndthenError(thrown)
    // No fault of the network excuses an answer that is wrong.
    if (excused && !(thrown instanceof WrongStatesError)) {
      this.excused.set(code, (this.excused.get(code) ?? 0) + 1)
      return
    }
    this.unexcused++
    if (this.kept.length < KEPT) this.kept.push({ ...about, code, message })
  }
}
