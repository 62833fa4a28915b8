import type { AndthenError } from '../../../base/index.ts'
import type { Credit, Lengths, Mismatch, Pushes, Rewound } from '../../../wire/index.ts'
import type { StatesBuffer } from '../../buffers.ts'
import type { Race } from '../../race/race.ts'
import type { ServerComponents } from '../facts.ts'
import type { OwnerConnection } from '../owner-connection.ts'
import type { Answer } from './answer.ts'

export interface OwnerRepliesComponents extends Pick<ServerComponents, 'limits' | 'ledger'> {
  readonly race: Race<StatesBuffer>
}

/** All that the owner of one session is told, on the stream that speaks for it. While it is away nothing is. */
export class OwnerReplies {
  /** None while the owner is away. */
  connection: OwnerConnection | null
  readonly #components: OwnerRepliesComponents
  /** Why the epoch ended here, to be said again to an owner who comes back. */
  #mismatch: Mismatch | null = null

  constructor(components: OwnerRepliesComponents, connection: OwnerConnection) {
    this.#components = components
    this.connection = connection
  }

  queued(place: number): void {
    this.connection?.send({ kind: 'queued', value: { place } })
  }

  opened(keys: { incarnation: Uint8Array; pushKey: Uint8Array }): void {
    const { maxTentative } = this.#components.limits
    const value = { ...keys, credit: this.#credit, maxTentative, lengths: this.#lengths }
    this.connection?.send({ kind: 'opened', value })
  }

  /** The owner is back on this stream. */
  resumed(connection: OwnerConnection): void {
    this.connection?.abandon()
    this.connection = connection
    const { epoch, nextStep } = this.#components.race
    connection.send({ kind: 'resumed', value: { epoch, lengths: this.#lengths, nextStep, credit: this.#credit } })
  }

  output({ output, tensor }: Answer): void {
    const { race, ledger } = this.#components
    const message = { kind: 'output' as const, value: output }
    if (tensor === null) {
      this.connection?.send(message)
      return
    }
    ledger.bytesOut += tensor.length
    this.connection?.sendTensor(message, tensor, { stale: () => output.epoch < race.epoch })
  }

  needCopy(epoch: number, step: number): void {
    this.connection?.send({ kind: 'needCopy', value: { epoch, step } })
  }

  mismatch(mismatch: Mismatch): void {
    this.#mismatch = mismatch
    this.connection?.send({ kind: 'mismatch', value: mismatch })
  }

  /** Says again why this epoch ended, if it has. */
  mismatchAgain(epoch: number): void {
    if (this.#mismatch?.epoch === epoch) this.mismatch(this.#mismatch)
  }

  rewound(epoch: number, attached: Pick<Rewound, 'attached' | 'notAttached'>): void {
    this.connection?.send({ kind: 'rewound', value: { epoch, lengths: this.#lengths, ...attached } })
  }

  /** The step, or the rewind, changed nothing; the session goes on. */
  refuse(error: AndthenError, { epoch, step }: { readonly epoch: number; readonly step: number }): void {
    this.connection?.sendError(error, { epoch, step, lengths: this.#lengths })
  }

  /** Why the session is about to end. */
  failed(error: AndthenError): void {
    this.connection?.sendError(error, { lengths: this.#lengths })
  }

  /** The last word. */
  terminated(reason: string, counts: { readonly lengths: Lengths; readonly pushes: Pushes }): void {
    this.connection?.send({ kind: 'terminated', value: { reason, resumable: false, ...counts } })
    this.connection?.close()
    this.connection = null
  }

  get #lengths(): Lengths {
    return this.#components.race.lengths
  }

  get #credit(): Credit {
    const { creditSteps, creditBytes } = this.#components.limits
    return { steps: creditSteps, bytes: creditBytes }
  }
}
