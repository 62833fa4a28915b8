import { type AndthenError, CancelledError, type Clock, TimeoutError } from '../base/index.ts'
import { type Boundaries, type Fault, Pipeline, ServerFaultError } from '../inference/index.ts'
import type { Digester, VerifyPolicyName } from '../wire/index.ts'
import { PREFILL_TOKENS } from './constants.ts'
import { HopError } from './errors.ts'
import type { Hop } from './hop.ts'

export interface CatchUpComponents {
  readonly clock: Clock
  readonly digest: Digester
  readonly boundaries: Boundaries
}

export interface CatchUpInit {
  readonly epoch: number
  /** Tokens that the route is brought to, from none. */
  readonly position: number
  readonly verify: VerifyPolicyName
  readonly stepTimeoutMs: number
  /** A step is done. */
  readonly onProgress: () => void
}

/**
 * Brings a new delegated route to a length: the tokens go through it again as ordinary steps whose results nobody
 * wants, for its servers have their inputs from each other and only the first has them from here.
 *
 * @throws HopError, CancelledError
 */
export function catchUp(
  components: CatchUpComponents,
  hop: Hop,
  init: CatchUpInit,
  signal: AbortSignal
): Promise<void> {
  const { clock, boundaries } = components
  const { peerId } = hop.server
  const runs = boundaries.at(0).runs(0, init.position, PREFILL_TOKENS)
  return new Promise((resolve, reject) => {
    let over = false
    let cancel: () => void = () => undefined
    const settle = (error: AndthenError | null): void => {
      over = true
      cancel()
      signal.removeEventListener('abort', onAbort)
      if (error === null) resolve()
      else reject(error)
    }
    const fail = (error: AndthenError): void => settle(new HopError(peerId, error))
    const onAbort = (): void => settle(new CancelledError('catching up'))
    const late = new TimeoutError('a step that is run again', init.stepTimeoutMs)
    const next = (): void => {
      cancel()
      if (over) return
      const run = runs.next()
      if (run.done === true) {
        settle(null)
        return
      }
      const { position, n, bytes } = run.value
      cancel = clock.after(init.stepTimeoutMs, () => fail(late))
      pipeline.start({ position, n, input: bytes, want: 'none' })
    }
    const events = {
      onEmit: () => undefined,
      onRetire: () => {
        if (over) return
        init.onProgress()
        next()
      },
      onProgress: () => undefined,
      onFault: (fault: Fault) =>
        fail(
          fault.kind === 'server' ? fault.error : new ServerFaultError(peerId, 'reports a push that it was not sent')
        )
    }
    const pipeline = new Pipeline({ ...components, events }, { hops: [hop], epoch: init.epoch, verify: init.verify })
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    pipeline.begin()
    next()
  })
}
