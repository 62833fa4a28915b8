import { type AndthenError, type Clock, TimeoutError } from '../../base/index.ts'
import type { Outgoing, OwnerMessage, Resumed, Rewound } from '../../wire/index.ts'
import { REWIND_TIMEOUT_MS } from './constants.ts'

export type RewindRequest = Extract<Outgoing<OwnerMessage>, { kind: 'rewind' }>['value'] & { readonly epoch: number }

interface Pending {
  readonly request: RewindRequest
  resolve(rewound: Rewound): void
  reject(error: AndthenError): void
  cancel: () => void
}

/**
 * Rewinds that were asked for and not answered, by their epochs. None waits longer than its deadline, which begins anew
 * where the connection was lost and is back.
 */
export class PendingRewinds {
  readonly #clock: Clock
  readonly #peerId: string
  readonly #pending = new Map<number, Pending>()
  /** Nobody can answer. */
  #held = false

  constructor(clock: Clock, peerId: string) {
    this.#clock = clock
    this.#peerId = peerId
  }

  /** @throws TimeoutError without an answer in time, or what `rejectAll` says */
  add(request: RewindRequest): Promise<Rewound> {
    return new Promise((resolve, reject) => {
      const pending = { request, resolve, reject, cancel: () => undefined }
      this.#pending.set(request.epoch, pending)
      if (!this.#held) this.#arm(pending)
    })
  }

  /** The connection is lost: no time counts until `unheard` is asked for. */
  hold(): void {
    this.#held = true
    for (const { cancel } of this.#pending.values()) cancel()
  }

  answered(rewound: Rewound): void {
    this.#take(rewound.epoch)?.resolve(rewound)
  }

  /** Those that the server has not heard, where it says that it stands so; of the others only the answers are lost. */
  unheard({ epoch, lengths }: Pick<Resumed, 'epoch' | 'lengths'>): RewindRequest[] {
    this.#held = false
    const unheard: RewindRequest[] = []
    for (const [of, pending] of [...this.#pending]) {
      // Whether its next server has answered is not known: its outputs will tell.
      if (of <= epoch) this.answered({ epoch: of, lengths, attached: new Uint8Array(), notAttached: 0 })
      else {
        unheard.push(pending.request)
        this.#arm(pending)
      }
    }
    return unheard
  }

  rejectAll(error: AndthenError): void {
    for (const epoch of [...this.#pending.keys()]) this.#take(epoch)?.reject(error)
  }

  #arm(pending: Pending): void {
    const { epoch } = pending.request
    const late = new TimeoutError(`a rewind on peer ${this.#peerId}`, REWIND_TIMEOUT_MS, {
      details: { peer: this.#peerId }
    })
    pending.cancel = this.#clock.after(REWIND_TIMEOUT_MS, () => this.#take(epoch)?.reject(late))
  }

  #take(epoch: number): Pending | undefined {
    const pending = this.#pending.get(epoch)
    this.#pending.delete(epoch)
    pending?.cancel()
    return pending
  }
}
