import { type AndthenError, BackOff, type Clock, pause, TimeoutError, toAndthenError } from '../base/index.ts'
import { PeerUnreachableError, type UnreachableReason } from '../network/index.ts'
import { ASK_AGAIN_MS } from './constants.ts'

export interface AskingComponents {
  readonly clock: Clock
  /** From 0 to 1: so that clients that came together, and were too many, do not come back together. */
  readonly random: () => number
}

/** Whether a peer that could not be asked is asked again, and when. Pure: whoever asks has the timer. */
export class Asking {
  readonly #clock: Clock
  readonly #until: number
  readonly #backOff: BackOff

  /** @param init.timeoutMs for all attempts together, from now on */
  constructor(components: AskingComponents, init: { readonly timeoutMs: number }) {
    this.#clock = components.clock
    this.#until = this.#clock.now() + init.timeoutMs
    this.#backOff = new BackOff(components, ASK_AGAIN_MS)
  }

  /** What may still be waited for an answer, ms; 1 at the least, for what takes no time at all. */
  get leftMs(): number {
    return Math.max(1, this.#until - this.#clock.now())
  }

  /** An attempt failed: in how many ms there is another; null: there is none. */
  failed(error: AndthenError): number | null {
    if (isFinal(error)) return null
    const waitMs = this.#backOff.next()
    return this.#clock.now() + waitMs < this.#until ? waitMs : null
  }
}

const final: ReadonlySet<UnreachableReason> = new Set(['refused', 'no-route', 'failed'])

/**
 * Whether a peer will not answer in a moment either: nobody listens there, or somebody else, or in another language, or no way
 * leads there. Who hangs up may only be full, or too busy to shake hands in time: a server that does not let this peer in looks
 * the same.
 */
function isFinal(error: AndthenError): boolean {
  if (!error.retryable) return true
  return error instanceof PeerUnreachableError && final.has(error.reason)
}

export interface AskOptions {
  /** A peer id, or where nobody knows yet who that is, an address. */
  readonly peer: string
  /** For all attempts together. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** It could not be asked, and will be again. */
  readonly onFailed: (error: AndthenError) => void
}

/**
 * Asks until there is an answer, or it is known that there will be none, or time is up.
 *
 * @param attempt is told what is left, ms, whenever it wants to know
 * @throws what the last attempt failed with; of one that was given up when the signal was aborted, what the one before did
 */
export async function askPatiently<T>(
  components: AskingComponents,
  attempt: (leftMs: () => number) => Promise<T>,
  { peer, timeoutMs, signal, onFailed }: AskOptions
): Promise<T> {
  const asking = new Asking(components, { timeoutMs })
  let failure: AndthenError | null = null
  for (;;) {
    try {
      return await attempt(() => asking.leftMs)
    } catch (thrown) {
      if (failure !== null && signal.aborted) throw failure
      failure = toAndthenError(thrown)
    }
    const waitMs = signal.aborted ? null : asking.failed(failure)
    if (waitMs === null) {
      // Whatever took the last of it, and however little that was.
      if (!(failure instanceof TimeoutError)) throw failure
      throw new TimeoutError(`asking peer ${peer}`, timeoutMs, { cause: failure, details: { peer } })
    }
    onFailed(failure)
    await pause(components.clock, waitMs, signal)
    if (signal.aborted) throw failure
  }
}
