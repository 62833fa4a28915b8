import type { Asker } from '../../../network/index.ts'
import { type NotPushed, notPushedNames, type Peer, type Push, type Rewound, toHex } from '../../../wire/index.ts'
import type { PushSender } from './push-sender.ts'
import type { PushTarget } from './push-target.ts'

type PushedStep = Omit<Push, 'pushKey'>

/** What became of an output: the push key that it was pushed to, or none and the reason. */
export interface Pushed {
  readonly pushKey: Uint8Array
  readonly reason: NotPushed
}

const none = new Uint8Array()

/** The server that this session's owner named as its next, which may change at any step. */
export class NextServer {
  readonly #sender: PushSender
  readonly #owner: Asker
  #target: PushTarget | null = null
  #pushKey: Uint8Array = none

  constructor(sender: PushSender, owner: Asker) {
    this.#sender = sender
    this.#owner = owner
  }

  get peerId(): string | null {
    return this.#target?.next.peerId ?? null
  }

  /** Null clears it. */
  name(peer: Peer | null): void {
    const pushKey = peer === null ? '' : toHex(peer.pushKey)
    const { next } = this.#target ?? {}
    if (peer !== null && next?.pushKey === pushKey && next.peerId === peer.peerId) return
    if (this.#target !== null) this.#sender.release(this.#target)
    this.#pushKey = peer?.pushKey ?? none
    this.#target =
      peer === null
        ? null
        : this.#sender.attach({ peerId: peer.peerId, addresses: peer.addresses, pushKey }, this.#owner)
  }

  /** Resolves when it has answered, or with why not, after a second at most. */
  async attached(): Promise<Pick<Rewound, 'attached' | 'notAttached'>> {
    const target = this.#target
    const reason = target === null ? 'NO_NEXT' : await this.#sender.attached(target)
    const attached = reason === 'PUSHED' && target === this.#target ? this.#pushKey : none
    return { attached, notAttached: notPushedNames.indexOf(reason) }
  }

  /** Fire and forget. The bytes must not change afterwards; `stale` drops them while they wait. */
  push(step: PushedStep, bytes: Uint8Array, stale: () => boolean): Pushed {
    if (this.#target === null) return { pushKey: none, reason: 'NO_NEXT' }
    const reason = this.#sender.push(this.#target, { ...step, pushKey: this.#pushKey }, bytes, stale)
    return { pushKey: reason === 'PUSHED' ? this.#pushKey : none, reason }
  }

  /** The session is over: says so to the next server. */
  end(reason: string): void {
    if (this.#target !== null) this.#sender.release(this.#target, reason)
    this.#target = null
  }
}
