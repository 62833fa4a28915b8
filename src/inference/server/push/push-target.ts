import type { Asker } from '../../../network/index.ts'
import type { NotPushed } from '../../../wire/index.ts'

/** The next server of one session, as its owner named it. */
export interface NextServer {
  readonly peerId: string
  readonly addresses: readonly string[]
  /** Hex of the push key that its session there is known by. */
  readonly pushKey: string
}

/**
 * Whether and how much may be pushed to one session of the next server.
 *
 *     named ──Attach──▶ (silence) ──Attached──▶ attached ──stream lost──▶ named
 *
 * Credit is a total since the attachment, only ever raised, so that a lost or repeated `Attached` does no harm.
 */
export class PushTarget {
  readonly next: NextServer
  readonly owner: Asker
  /** Before then no step has its addresses dialled, which failed, ms. */
  redialAt = 0
  #attached = false
  #steps = { sent: 0, limit: 0 }
  #bytes = { sent: 0, limit: 0 }
  readonly #waiters = new Set<(reason: NotPushed) => void>()
  #failure: NotPushed = 'NOT_ATTACHED'
  #asked = false

  constructor(next: NextServer, owner: Asker) {
    this.next = next
    this.owner = owner
  }

  get attached(): boolean {
    return this.#attached
  }

  /** Why nothing can be pushed now; `PUSHED` when it can. */
  permit(bytes: number): NotPushed {
    if (!this.#attached) return this.#failure
    const fits = this.#steps.sent < this.#steps.limit && this.#bytes.sent + bytes <= this.#bytes.limit
    return fits ? 'PUSHED' : 'NO_CREDIT'
  }

  sent(bytes: number): void {
    this.#steps.sent++
    this.#bytes.sent += bytes
  }

  /** An `Attach` is sent; true where it is the first on this stream, from which credit counts. */
  asked(): boolean {
    const first = !this.#asked
    this.#asked = true
    return first
  }

  onAttached(credit: { steps: number; bytes: number }): void {
    this.#attached = true
    this.#steps.limit = Math.max(this.#steps.limit, credit.steps)
    this.#bytes.limit = Math.max(this.#bytes.limit, credit.bytes)
    this.#settle('PUSHED')
  }

  /** The stream is gone, or was never had. */
  onLost(reason: NotPushed): void {
    this.#attached = false
    this.#asked = false
    this.#failure = reason
    this.#steps = { sent: 0, limit: 0 }
    this.#bytes = { sent: 0, limit: 0 }
    this.#settle(reason)
  }

  /** Resolves at the next answer, or failure, or when `cancel` was called by the caller's deadline. */
  settled(): { readonly outcome: Promise<NotPushed>; readonly cancel: () => void } {
    let resolve: (reason: NotPushed) => void = () => undefined
    const outcome = new Promise<NotPushed>(accept => {
      resolve = accept
    })
    if (this.#attached) resolve('PUSHED')
    else this.#waiters.add(resolve)
    const cancel = (): void => {
      // An owner may ask any number of times while the next server is silent.
      this.#waiters.delete(resolve)
      resolve(this.#failure)
    }
    return { outcome, cancel }
  }

  /** How many wait for an answer. */
  get waiting(): number {
    return this.#waiters.size
  }

  #settle(reason: NotPushed): void {
    for (const wake of this.#waiters) wake(reason)
    this.#waiters.clear()
  }
}
