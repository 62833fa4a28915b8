import type { AndthenError, Clock } from '../../base/index.ts'
import type { Outgoing, OwnerMessage, Resumed, Rewound } from '../../wire/index.ts'
import { REWIND_TIMEOUT_MS } from './constants.ts'
import { ServerFaultError } from './errors.ts'

export type RewindRequest = Extract<Outgoing<OwnerMessage>, { kind: 'rewind' }>['value'] & { readonly epoch: number }

interface Pending {
  readonly request: RewindRequest
  resolve(rewound: Rewound): void
  reject(error: AndthenError): void
  cancel(): void
}

/** Rewinds that were asked for and not answered, by their epochs; none waits longer than its deadline. */
export class PendingRewinds {
  readonly #clock: Clock
  readonly #peerId: string
  readonly #pending = new Map<number, Pending>()

  constructor(clock: Clock, peerId: string) {
    this.#clock = clock
    this.#peerId = peerId
  }

  /** @throws ServerFaultError without an answer in time, or what `rejectAll` says */
  add(request: RewindRequest): Promise<Rewound> {
    const { epoch } = request
    return new Promise((resolve, reject) => {
      const late = new ServerFaultError(this.#peerId, `did not answer a rewind within ${REWIND_TIMEOUT_MS} ms`)
      const cancel = this.#clock.after(REWIND_TIMEOUT_MS, () => this.#take(epoch)?.reject(late))
      this.#pending.set(epoch, { request, resolve, reject, cancel })
    })
  }

  answered(rewound: Rewound): void {
    this.#take(rewound.epoch)?.resolve(rewound)
  }

  /** Those that the server has not heard, where it says that it stands so; of the others only the answers are lost. */
  unheard({ epoch, lengths }: Pick<Resumed, 'epoch' | 'lengths'>): RewindRequest[] {
    const unheard: RewindRequest[] = []
    for (const [of, { request }] of [...this.#pending]) {
      // Whether its next server has answered is not known: its outputs will tell.
      if (of <= epoch) this.answered({ epoch: of, lengths, attached: new Uint8Array(), notAttached: 0 })
      else unheard.push(request)
    }
    return unheard
  }

  rejectAll(error: AndthenError): void {
    for (const epoch of [...this.#pending.keys()]) this.#take(epoch)?.reject(error)
  }

  #take(epoch: number): Pending | undefined {
    const pending = this.#pending.get(epoch)
    this.#pending.delete(epoch)
    pending?.cancel()
    return pending
  }
}
