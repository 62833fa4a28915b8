import { AndthenError, type Clock, type Logger, TimeoutError, toAndthenError } from '../../base/index.ts'
import type { Asker, PeerStream } from '../../network/index.ts'
import {
  type Lengths,
  type MessageHandler,
  MessageReader,
  MessageWriter,
  type Outgoing,
  ownerFrames,
  type OwnerMessage,
  serverFrames,
  type ServerMessage,
  type TensorOptions
} from '../../wire/index.ts'
import { RouteMismatchError } from '../errors.ts'

/** A stream that does not take what it asked for: beyond this the session is not worth its memory. */
const MAX_QUEUED_BYTES = 64 * 1024 * 1024
/** How long a stream that is over waits for its owner to read what is queued, ms. */
const CLOSE_MS = 10_000

export interface OwnerConnectionInit {
  maxTensorBytes: number
  onClose: () => void
  /** The owner does not read what it asks for; called once. Answers that waited are lost. */
  onSlow: () => void
}

/** Where an `Error` belongs. */
export interface ErrorContext {
  epoch?: number
  step?: number
  lengths?: Lengths
}

/** The stream of one owner, as messages. Garbage on it ends it with a typed `Error`; it never reaches a session. */
export class OwnerConnection {
  readonly owner: string
  /** The owner, and where it is: who answers for what this node does for it. */
  readonly asker: Asker
  readonly #clock: Clock
  readonly #stream: PeerStream
  readonly #writer: MessageWriter<ServerMessage>
  readonly #onSlow: () => void
  #open = true
  #slow = false
  #closing = false
  #stopWaiting: () => void = () => undefined

  constructor(
    components: { stream: PeerStream; handler: MessageHandler<OwnerMessage>; clock: Clock; logger: Logger },
    init: OwnerConnectionInit
  ) {
    const { stream, handler, clock, logger } = components
    this.#clock = clock
    this.owner = stream.remotePeer
    this.asker = { peer: stream.remotePeer, host: stream.remoteHost }
    this.#stream = stream
    this.#onSlow = init.onSlow
    this.#writer = new MessageWriter<ServerMessage>({ codec: serverFrames, sink: stream })
    // Nothing is heard any more once the connection was given up, not even what came in the same chunk.
    const whileOpen: MessageHandler<OwnerMessage> = {
      onMessage: (message, bytes) => (this.#open ? handler.onMessage(message, bytes) : null),
      onTensor: (message, tensor) => {
        if (this.#open) handler.onTensor(message, tensor)
      }
    }
    const reader = new MessageReader<OwnerMessage>({ codec: ownerFrames, handler: whileOpen }, init)
    stream.onDrain = () => {
      this.#writer.drained()
      this.#closeWhenFlushed()
    }
    stream.onClose = () => {
      this.#open = false
      this.#stopWaiting()
      this.#writer.clear()
      init.onClose()
    }
    stream.onData = chunk => {
      if (!this.#open) return
      try {
        reader.push(chunk)
      } catch (thrown) {
        logger.debug({ peer: this.owner, error: toAndthenError(thrown).message }, 'a stream was given up')
        this.fail(toAndthenError(thrown))
      }
    }
  }

  get open(): boolean {
    return this.#open
  }

  send(message: Outgoing<ServerMessage>): void {
    if (!this.#open) return
    this.#writer.send(message)
    // Last words go right behind what the stream holds already: it is not waited for any more.
    if (this.#slow) this.#writer.drained()
    this.#watch()
  }

  sendTensor(message: Outgoing<ServerMessage>, bytes: Uint8Array, options: TensorOptions): void {
    if (!this.#open || this.#slow) return
    this.#writer.sendTensor(message, bytes, options)
    this.#watch()
  }

  sendError(error: AndthenError, context: ErrorContext = {}): void {
    const { epoch, step, lengths } = context
    const retryAfterMs = Number(error.details['retryAfterMs'] ?? 0)
    this.send({
      kind: 'error',
      value: {
        code: error.code,
        message: error.message,
        retryable: error.retryable,
        retryAfterMs,
        peerId: String(error.details['peer'] ?? ''),
        receipts: error instanceof RouteMismatchError ? [...error.receipts] : [],
        ...(lengths === undefined ? {} : { lengths }),
        ...(epoch === undefined || step === undefined ? {} : { hasStep: true, epoch, step })
      }
    })
  }

  /** Says why, and closes: nothing that follows on this stream is read. */
  fail(error: AndthenError): void {
    this.sendError(error)
    this.close()
  }

  /** Sends what is queued, and closes. */
  close(): void {
    if (!this.#open) return
    this.#open = false
    this.#closing = true
    const late = new TimeoutError('reading the last answers', CLOSE_MS)
    this.#stopWaiting = this.#clock.after(CLOSE_MS, () => this.#stream.abort(late))
    this.#closeWhenFlushed()
  }

  /** Another stream speaks for the session from now on. */
  abandon(): void {
    this.#open = false
    this.#stream.abort(new AndthenError('SUPERSEDED', 'the session was resumed on another stream'))
  }

  #closeWhenFlushed(): void {
    if (!this.#closing || this.#writer.queuedBytes > 0) return
    this.#closing = false
    this.#stream.close().catch((thrown: unknown) => this.#stream.abort(toAndthenError(thrown)))
  }

  #watch(): void {
    if (this.#slow || this.#writer.queuedBytes + this.#stream.bufferedBytes <= MAX_QUEUED_BYTES) return
    this.#slow = true
    this.#writer.clear()
    this.#onSlow()
  }
}
