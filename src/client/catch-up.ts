import { type AndthenError, type Clock, TimeoutError } from '../base/index.ts'
import { type Boundaries, type Fault, Pipeline } from '../inference/index.ts'
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
}

/**
 * Brings a new delegated route to a length: the tokens go through it again as ordinary steps whose results nobody
 * wants, for its servers have their inputs from each other and only the first has them from here.
 *
 * @throws HopError
 */
export async function catchUp(components: CatchUpComponents, hop: Hop, init: CatchUpInit): Promise<void> {
  const { clock, boundaries } = components
  let done: () => void = () => undefined
  let fail: (error: AndthenError) => void = () => undefined
  const events = {
    onEmit: () => undefined,
    onRetire: () => done(),
    onProgress: () => undefined,
    onFault: (fault: Fault) => {
      if (fault.kind === 'server') fail(fault.error)
    }
  }
  const pipeline = new Pipeline({ ...components, events }, { hops: [hop], epoch: init.epoch, verify: init.verify })
  for (const { position, n, bytes } of boundaries.at(0).runs(0, init.position, PREFILL_TOKENS)) {
    const late = new TimeoutError('a step that is run again', init.stepTimeoutMs)
    const cancel = clock.after(init.stepTimeoutMs, () => fail(late))
    await new Promise<void>((resolve, reject) => {
      done = resolve
      fail = error => reject(new HopError(hop.server.peerId, error))
      pipeline.start({ position, n, input: bytes, want: 'none' })
    }).finally(cancel)
  }
}
