import type { AndthenError } from '../../base/index.ts'
import type { Lengths, Output, Pushes, Resumed, ServerMessage, Terminated } from '../../wire/index.ts'
import { RemoteError, ServerFaultError } from './errors.ts'
import type { PendingRewinds } from './pending-rewinds.ts'
import type { SentLog } from './sent-log.ts'
import { unheard } from './session-listener.ts'

export interface SessionInboxEvents {
  /** The server has ended the session; it says nothing more. */
  onTerminated(terminated: Terminated): void
  /** The server refused something. */
  onRefused(error: AndthenError): void
  /** What it said breaks the protocol. */
  onFault(error: AndthenError): void
}

export interface SessionInboxInit {
  readonly peerId: string
  readonly log: SentLog
  readonly rewinds: PendingRewinds
  /** At first. */
  readonly lengths: Lengths
}

/** What a server says in a session, told once however often it comes, and what it says that it stands at. */
export class SessionInbox {
  /** Who hears it. */
  listener = unheard
  readonly #init: SessionInboxInit
  readonly #events: SessionInboxEvents
  #lengths: Lengths
  #pushes: Pushes = { used: 0, late: 0, ignored: 0, mismatched: 0 }
  /** The epoch that a mismatch has ended: a server that is come back to says so again. */
  #mismatchedEpoch: number | null = null

  constructor(events: SessionInboxEvents, init: SessionInboxInit) {
    this.#events = events
    this.#init = init
    this.#lengths = init.lengths
  }

  get lengths(): Lengths {
    return this.#lengths
  }

  get pushes(): Pushes {
    return this.#pushes
  }

  /** Another stream speaks for the session. */
  onResumed({ lengths }: Pick<Resumed, 'lengths'>): void {
    this.#lengths = lengths
  }

  /** Returns where the `bytes` of tensor go that follow, or null to read past them. */
  onMessage(message: ServerMessage, bytes: number): Uint8Array | null {
    switch (message.kind) {
      case 'output':
        return this.#onOutput(message.value, bytes)
      case 'rewound':
        this.#init.log.begun()
        this.#lengths = message.value.lengths
        this.#init.rewinds.answered(message.value)
        return null
      case 'needCopy':
        this.listener.onNeedCopy(message.value)
        return null
      case 'mismatch':
        if (message.value.epoch === this.#mismatchedEpoch) return null
        this.#mismatchedEpoch = message.value.epoch
        this.#pushes = { ...this.#pushes, mismatched: this.#pushes.mismatched + 1 }
        this.listener.onMismatch(message.value)
        return null
      case 'terminated':
        this.#lengths = message.value.lengths ?? this.#lengths
        this.#pushes = message.value.pushes ?? this.#pushes
        this.#events.onTerminated(message.value)
        return null
      case 'error':
        this.#events.onRefused(new RemoteError(this.#init.peerId, message.value))
        return null
      case 'opened':
      case 'queued':
      case 'resumed':
        this.#blame(`sent "${message.kind}" in an open session`)
        return null
    }
  }

  onTensor(message: ServerMessage, tensor: Uint8Array): void {
    if (message.kind === 'output') this.listener.onTensor(this.#init.log.whole(message.value), tensor)
  }

  #onOutput(output: Output, bytes: number): Uint8Array | null {
    const { log } = this.#init
    this.#lengths = output.lengths
    this.#pushes = output.pushes
    const arrival = log.arrived(output, bytes)
    switch (arrival.kind) {
      case 'first': {
        const into = this.listener.onOutput(output, bytes)
        log.goes(output, into)
        return into
      }
      case 'again':
        return arrival.into?.length === bytes ? arrival.into : null
      case 'other':
        this.#blame(`answered step ${output.step} twice, and differently`)
        return null
      case 'known':
        return null
    }
  }

  #blame(what: string): void {
    this.#events.onFault(new ServerFaultError(this.#init.peerId, what))
  }
}
