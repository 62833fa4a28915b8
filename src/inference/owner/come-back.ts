import { type AndthenError, type Clock, pause, toAndthenError } from '../../base/index.ts'
import { PeerUnreachableError } from '../../network/index.ts'
import type { Resume, Resumed } from '../../wire/index.ts'
import { RESUME_WAIT_MS } from './constants.ts'
import { RemoteError } from './errors.ts'
import type { OwnerStream } from './owner-stream.ts'

/** Where the owner stands; the session's id is known to whoever can reconnect. */
export type Standpoint = Omit<Resume, 'id'>

/** Opens another stream to the session; `adopt` is called before anything behind `Resumed` is read from it. */
export type Reconnect = (
  resume: Standpoint,
  adopt: (stream: OwnerStream, resumed: Resumed) => void,
  signal: AbortSignal
) => Promise<void>

export interface ComeBackInit {
  /** From now on; with 0 it is tried once, ms. */
  readonly patienceMs: number
  readonly resume: Standpoint
  readonly adopt: (stream: OwnerStream, resumed: Resumed) => void
}

/**
 * Tries to come back to a session whose stream was lost, until the server refuses, or nobody listens there any more (what
 * it had is lost with its process), or patience is over.
 *
 * @throws why the last attempt failed
 */
export async function comeBack(
  components: { clock: Clock; reconnect: Reconnect },
  init: ComeBackInit,
  signal: AbortSignal
): Promise<void> {
  const { clock, reconnect } = components
  const deadline = clock.now() + init.patienceMs
  for (let waitMs = RESUME_WAIT_MS.first; ; waitMs = Math.min(RESUME_WAIT_MS.most, 2 * waitMs)) {
    try {
      return await reconnect(init.resume, init.adopt, signal)
    } catch (thrown) {
      const error = toAndthenError(thrown)
      if (signal.aborted || isFinal(error) || clock.now() + waitMs >= deadline) throw error
    }
    await pause(clock, waitMs, signal)
  }
}

function isFinal(error: AndthenError): boolean {
  if (error instanceof PeerUnreachableError && error.reason === 'refused') return true
  return error instanceof RemoteError || !error.retryable
}
