import { type Clock, type Logger, toAndthenError } from '../../../base/index.ts'
import { type Asker, type PeerStream, RateLimitedError } from '../../../network/index.ts'
import {
  attachFrames,
  type AttachMessage,
  type MessageHandler,
  MessageReader,
  MessageWriter,
  pushFrames,
  type PushMessage
} from '../../../wire/index.ts'
import { RequestError } from '../../errors.ts'
import type { Ledger } from '../facts.ts'
import { type PartialPush, PartialPushes } from './partial-pushes.ts'
import type { PushAttachment } from './push-attachment.ts'
import type { PushCredit } from './push-credit.ts'

/** A stream on which no session is attached is not kept: whoever has something to push opens another one. */
const UNATTACHED_MS = 30_000
/** Answers that wait to be read by a sender; one who asks and does not read is not kept. */
const MAX_QUEUED_BYTES = 64 * 1024
/** Attachments of one stream that ended here, whose credit is remembered because what it granted may be under way. */
const MAX_FORMER = 256

export interface PushStreamComponents {
  readonly stream: PeerStream
  readonly clock: Clock
  readonly logger: Logger
  readonly ledger: Ledger
}

export interface PushStreamInit {
  readonly handler: MessageHandler<PushMessage>
  /** Of one push. */
  readonly maxTensorBytes: number
  /** A push of which nothing came for too long was given up. */
  readonly onExpired: (push: PartialPush) => void
  readonly onClose: () => void
}

/** One stream of an upstream server: its messages, and the sessions that are attached on it, by the hex of their keys. */
export class PushStream {
  /** From whom is proven by its connection. */
  readonly peer: string
  /** It, and where it is: who answers for what comes in vain. */
  readonly asker: Asker
  readonly partial: PartialPushes
  /** Keys asked for before their owner named this peer. */
  readonly early = new Set<string>()
  readonly #components: PushStreamComponents
  readonly #writer: MessageWriter<AttachMessage>
  readonly #attached = new Map<string, PushAttachment>()
  /** Of those that ended here, and not yet there, the oldest first: nothing of a session that is over is kept alive. */
  readonly #former = new Map<string, PushCredit>()
  /** Not given up while a session is attached. */
  #keep: () => void = () => undefined

  constructor(components: PushStreamComponents, init: PushStreamInit) {
    const { stream, clock } = components
    this.peer = stream.remotePeer
    this.asker = { peer: stream.remotePeer, host: stream.remoteHost }
    this.#components = components
    this.#writer = new MessageWriter<AttachMessage>({ codec: attachFrames, sink: stream })
    const reader = new MessageReader<PushMessage>({ codec: pushFrames, handler: init.handler }, init)
    this.partial = new PartialPushes({ clock, reader }, init.onExpired)
    this.#expectAttach()
    stream.onDrain = () => this.#writer.drained()
    stream.onClose = () => {
      this.#keep()
      this.partial.stop()
      this.#writer.clear()
      init.onClose()
    }
    stream.onData = chunk => {
      try {
        reader.push(chunk)
      } catch (thrown) {
        this.giveUp(thrown)
      }
    }
  }

  get attachments(): Iterable<PushAttachment> {
    return this.#attached.values()
  }

  attachment(key: string): PushAttachment | undefined {
    return this.#attached.get(key)
  }

  /** Of an attachment that ended here: its sender may not know, and use up what it was granted. */
  former(key: string): PushCredit | undefined {
    return this.#former.get(key)
  }

  attach(key: string, attachment: PushAttachment): void {
    this.#former.delete(key)
    this.#keep()
    this.#attached.set(key, attachment)
  }

  /** Ends an attachment, and reads past what is under way for it. */
  detach(key: string): void {
    const attachment = this.#attached.get(key)
    if (attachment === undefined) return
    this.#attached.delete(key)
    this.#former.set(key, attachment.credit)
    for (const [oldest] of this.#former) if (this.#former.size > MAX_FORMER) this.#former.delete(oldest)
    if (this.#attached.size === 0) this.#expectAttach()
    this.partial.forgetAll(attachment)
  }

  /** Nothing of it is under way any more: its sender has said that it ended there, too. */
  forget(key: string): void {
    this.detach(key)
    this.#former.delete(key)
  }

  /** Answers an `Attach`, or raises what it granted. */
  grant(key: string, limit: { readonly steps: number; readonly bytes: number }): void {
    this.#writer.send({ kind: 'attached', value: { pushKey: Buffer.from(key, 'hex'), ...limit } })
    if (this.#writer.queuedBytes <= MAX_QUEUED_BYTES) return
    this.#components.stream.abort(new RequestError('SLOW_READER', 'the answers to its attaches are not read'))
  }

  giveUp(thrown: unknown): void {
    const error = toAndthenError(thrown)
    const { stream, logger, ledger } = this.#components
    if (error instanceof RateLimitedError) ledger.pushStreamsEnded++
    logger.debug({ peer: this.peer, error: error.message }, 'a push stream was given up')
    stream.abort(error)
  }

  #expectAttach(): void {
    const { clock, logger, stream } = this.#components
    this.#keep()
    this.#keep = clock.after(UNATTACHED_MS, () => {
      logger.debug({ peer: this.peer }, 'a push stream without sessions was closed')
      void stream.close()
    })
  }
}
