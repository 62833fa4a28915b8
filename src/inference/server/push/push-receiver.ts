import { toAndthenError } from '../../../base/index.ts'
import { type PeerStream, RateLimitedError } from '../../../network/index.ts'
import {
  type Attach,
  attachFrames,
  type AttachMessage,
  equalBytes,
  MessageReader,
  MessageWriter,
  type Push,
  pushFrames,
  type PushMessage,
  toHex
} from '../../../wire/index.ts'
import type { StatesBuffer } from '../../buffers.ts'
import { RequestError } from '../../errors.ts'
import type { ServerComponents } from '../facts.ts'
import type { HostedSession } from '../hosted-session.ts'
import { PartialPushes } from './partial-pushes.ts'
import { PushAttachment } from './push-attachment.ts'
import { checkPush, type RejectedReason } from './upstream-check.ts'
import { VainPushes } from './vain-pushes.ts'

/** Attaches that came before their session's owner named the upstream; a race of two messages, so few and short-lived. */
const MAX_EARLY_ATTACHES = 16
/** A stream on which no session is attached is not kept: whoever has something to push opens another one. */
const UNATTACHED_MS = 30_000
/** Answers that wait to be read by a sender; one who asks and does not read is not kept. */
const MAX_QUEUED_BYTES = 64 * 1024
/** Attachments of one stream that ended here, remembered because what was granted to them may be under way. */
const MAX_FORMER = 256

interface Incoming {
  readonly peer: string
  readonly stream: PeerStream
  readonly reader: MessageReader<PushMessage>
  readonly writer: MessageWriter<AttachMessage>
  readonly attached: Map<string, PushAttachment>
  /** Those that ended here, and not yet there; the oldest first. */
  readonly former: Map<string, PushAttachment>
  /** Keys asked for before their owner named this peer. */
  readonly early: Set<string>
  /** Not given up while a session is attached. */
  keep: () => void
  readonly partial: PartialPushes
}

type Components = Pick<ServerComponents, 'facts' | 'limits' | 'digest' | 'clock' | 'logger' | 'ledger'>

/**
 * The receiving end of pushes. A push reaches a session only from the peer that its owner named, on a stream where that
 * peer attached with the session's key; whatever else comes is read past and counted by reason, never answered.
 */
export class PushReceiver {
  readonly #components: Components
  readonly #sessions = new Map<string, HostedSession>()
  readonly #streams = new Set<Incoming>()
  readonly #vain: VainPushes

  constructor(components: Components) {
    this.#components = components
    this.#vain = new VainPushes(components)
  }

  add(hosted: HostedSession): void {
    this.#sessions.set(toHex(hosted.pushKey), hosted)
  }

  remove(hosted: HostedSession): void {
    const key = toHex(hosted.pushKey)
    this.#sessions.delete(key)
    for (const incoming of this.#streams) {
      incoming.early.delete(key)
      this.#detach(incoming, key)
    }
  }

  /** The session's owner named its upstream: lets in whoever of that name asked before, and nobody else any more. */
  onUpstream(hosted: HostedSession): void {
    const key = toHex(hosted.pushKey)
    for (const incoming of [...this.#streams]) {
      if (incoming.peer !== hosted.upstream) this.#detach(incoming, key)
      else if (incoming.early.delete(key)) this.#admit(incoming, key, hosted)
      else if (incoming.attached.has(key)) this.#grant(incoming, key)
    }
  }

  /** A stream of the push protocol; from whom is proven by its connection. */
  accept(stream: PeerStream): void {
    const { limits, clock } = this.#components
    const writer = new MessageWriter<AttachMessage>({ codec: attachFrames, sink: stream })
    const handler = {
      onMessage: (message: PushMessage, bytes: number) => this.#onMessage(incoming, message, bytes),
      onTensor: (message: PushMessage, tensor: Uint8Array) => {
        if (message.kind === 'push') this.#onPush(incoming, message.value, tensor)
      }
    }
    const reader = new MessageReader<PushMessage>(
      { codec: pushFrames, handler },
      { maxTensorBytes: limits.creditBytes }
    )
    const incoming: Incoming = {
      peer: stream.remotePeer,
      stream,
      reader,
      writer,
      attached: new Map(),
      former: new Map(),
      early: new Set(),
      keep: () => undefined,
      partial: new PartialPushes({ clock, reader }, push => {
        this.#finish(incoming, push.attachment, push.buffer.bytes.length)
        this.#count('expired')
      })
    }
    this.#streams.add(incoming)
    this.#expectAttach(incoming)
    stream.onDrain = () => writer.drained()
    stream.onClose = () => {
      this.#streams.delete(incoming)
      incoming.keep()
      incoming.partial.stop()
      writer.clear()
      for (const { hosted } of incoming.attached.values()) hosted.onUpstreamGone()
    }
    stream.onData = chunk => {
      try {
        reader.push(chunk)
      } catch (thrown) {
        this.#giveUp(incoming, thrown)
      }
    }
    const error = this.#vain.refusal(incoming.peer)
    if (error !== null) this.#giveUp(incoming, error)
  }

  #giveUp({ peer, stream }: Incoming, thrown: unknown): void {
    const error = toAndthenError(thrown)
    const { logger, ledger } = this.#components
    if (error instanceof RateLimitedError) ledger.pushStreamsEnded++
    logger.debug({ peer, error: error.message }, 'a push stream was given up')
    stream.abort(error)
  }

  #expectAttach(incoming: Incoming): void {
    const { clock, logger } = this.#components
    incoming.keep()
    incoming.keep = clock.after(UNATTACHED_MS, () => {
      logger.debug({ peer: incoming.peer }, 'a push stream without sessions was closed')
      void incoming.stream.close()
    })
  }

  #onMessage(incoming: Incoming, message: PushMessage, bytes: number): Uint8Array | null {
    switch (message.kind) {
      case 'attach':
        this.#onAttach(incoming, message.value)
        return null
      case 'upstreamGone': {
        const key = toHex(message.value.pushKey)
        const attachment = incoming.attached.get(key)
        this.#detach(incoming, key)
        incoming.former.delete(key)
        attachment?.hosted.onUpstreamGone()
        return null
      }
      case 'push':
        return this.#destination(incoming, message.value, bytes)
    }
  }

  #onAttach(incoming: Incoming, attach: Attach): void {
    const key = toHex(attach.pushKey)
    const hosted = this.#sessions.get(key)
    const { facts } = this.#components
    if (hosted === undefined) return this.#rejectAttach(incoming, 'unknown-session')
    if (attach.boundary !== facts.from || !equalBytes(attach.modelDigest, facts.modelDigest))
      return this.#rejectAttach(incoming, 'shape')
    if (hosted.upstream === incoming.peer) {
      if (attach.restart || !incoming.attached.has(key)) this.#admit(incoming, key, hosted)
      else this.#grant(incoming, key)
      return
    }
    if (incoming.early.size < MAX_EARLY_ATTACHES) incoming.early.add(key)
    this.#rejectAttach(incoming, 'foreign-peer')
  }

  /** Begins an attachment: a session has one at a time, on the stream that asked last. */
  #admit(incoming: Incoming, key: string, hosted: HostedSession): void {
    for (const other of this.#streams) this.#detach(other, key)
    incoming.former.delete(key)
    incoming.keep()
    incoming.attached.set(key, new PushAttachment(hosted, { windowBytes: this.#components.limits.creditBytes }))
    this.#grant(incoming, key)
  }

  /** Ends an attachment, and reads past what is under way for it. */
  #detach(incoming: Incoming, key: string): void {
    const attachment = incoming.attached.get(key)
    if (attachment === undefined) return
    incoming.attached.delete(key)
    incoming.former.set(key, attachment)
    for (const [oldest] of incoming.former) if (incoming.former.size > MAX_FORMER) incoming.former.delete(oldest)
    if (incoming.attached.size === 0) this.#expectAttach(incoming)
    incoming.partial.forgetAll(attachment)
  }

  /** Now, or when the session is no longer over its limit of pushes in vain. */
  #grant(incoming: Incoming, key: string): void {
    const attachment = incoming.attached.get(key)
    if (attachment === undefined || attachment.withheld) return
    const waitMs = this.#vain.sessionWait(key)
    if (waitMs > 0) {
      attachment.withheld = true
      this.#components.clock.after(waitMs, () => {
        attachment.withheld = false
        if (this.#streams.has(incoming) && incoming.attached.get(key) === attachment) this.#grant(incoming, key)
      })
      return
    }
    const limit = attachment.grant()
    incoming.writer.send({ kind: 'attached', value: { pushKey: Buffer.from(key, 'hex'), ...limit } })
    if (incoming.writer.queuedBytes <= MAX_QUEUED_BYTES) return
    incoming.stream.abort(new RequestError('SLOW_READER', 'the answers to its attaches are not read'))
  }

  /** Checks a push by its header, before a byte of it is kept. */
  #destination(incoming: Incoming, push: Push, bytes: number): Uint8Array | null {
    const key = toHex(push.pushKey)
    const attachment = incoming.attached.get(key)
    if (attachment === undefined) {
      this.#count(this.#sessions.has(key) ? 'not-attached' : 'unknown-session')
      // It was granted before its session ended or was given another upstream, which its sender may not know.
      if (incoming.former.get(key)?.begin(bytes) !== true) this.#vain.push(incoming.peer, bytes)
      return null
    }
    if (!attachment.begin(bytes)) {
      this.#count('no-credit')
      this.#vain.push(incoming.peer, bytes)
      return null
    }
    if (push.n < 1 || bytes !== push.n * this.#components.facts.hiddenSize * 4) {
      this.#count('shape')
      this.#vain.granted(key, bytes)
      this.#finish(incoming, attachment, bytes)
      return null
    }
    return incoming.partial.begin(attachment, bytes)
  }

  /** A push is over, whatever came of it. */
  #finish(incoming: Incoming, attachment: PushAttachment, bytes: number): void {
    if (attachment.finish(bytes)) this.#grant(incoming, toHex(attachment.hosted.pushKey))
  }

  #onPush(incoming: Incoming, push: Push, tensor: Uint8Array): void {
    const whole = incoming.partial.finish(tensor)
    if (whole === undefined) return
    const { attachment, buffer } = whole
    if (!this.#isUsed(incoming, push, attachment, buffer)) this.#vain.granted(toHex(push.pushKey), tensor.length)
    this.#finish(incoming, attachment, tensor.length)
  }

  /** Where a push is verified: what it says of itself here, whether it fits in the race. False where it was ignored. */
  #isUsed({ peer }: Incoming, push: Push, { hosted }: PushAttachment, input: StatesBuffer): boolean {
    const { facts, digest: digestOf } = this.#components
    const { epoch, step, position, n, receipt } = push
    const { bytes } = input
    const digest = digestOf({ boundary: facts.from, position, n }, bytes)
    const reason = checkPush(push, digest, { facts, owner: hosted.session.owner, upstream: peer })
    if (reason !== null) {
      hosted.dropBuffer(input)
      this.#count(reason)
      return false
    }
    const { pushes } = hosted.race
    const ignoredBefore = pushes.ignored
    hosted.onPush(push, { epoch, step, position, n, receipt, digest, input, bytes: bytes.length })
    return pushes.ignored === ignoredBefore
  }

  #rejectAttach(incoming: Incoming, reason: RejectedReason): void {
    this.#count(reason)
    this.#vain.attach(incoming.peer)
  }

  #count(reason: RejectedReason): void {
    const { ignored } = this.#components.ledger
    ignored.set(reason, (ignored.get(reason) ?? 0) + 1)
  }
}
