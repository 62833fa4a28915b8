import { toAndthenError } from '../../base/index.ts'
import { type PeerStream, RateLimitedError, RateLimiter } from '../../network/index.ts'
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
} from '../../wire/index.ts'
import { RequestError } from '../errors.ts'
import type { ServerComponents } from './facts.ts'
import type { HostedSession } from './hosted-session.ts'
import { PartialPushes } from './partial-pushes.ts'
import { PushAttachment } from './push-attachment.ts'
import { checkPush, type RejectedReason } from './upstream-check.ts'

/** Attaches that came before their session's owner named the upstream; a race of two messages, so few and short-lived. */
const MAX_EARLY_ATTACHES = 16
/** A stream on which no session is attached is not kept: whoever has something to push opens another one. */
const UNATTACHED_MS = 30_000
/** Answers that wait to be read by a sender; one who asks and does not read is not kept. */
const MAX_QUEUED_BYTES = 64 * 1024
/**
 * What one peer may send in vain: more than the sessions of an honest one that end at once leave under way, and so few
 * that refusing them takes no time to speak of. Beyond it the peer's push streams are ended.
 */
const VAIN_LIMIT = { burst: 256, perSecond: 64 }
/** Bytes that are read past count, too: one more for each fragment. */
const VAIN_FRAGMENT_BYTES = 64 * 1024
/** A new stream of such a peer is of use for so many more, or not at all: opening one is work, too. */
const VAIN_LEFT = 16

interface Incoming {
  readonly peer: string
  readonly stream: PeerStream
  readonly reader: MessageReader<PushMessage>
  readonly writer: MessageWriter<AttachMessage>
  readonly attached: Map<string, PushAttachment>
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
  readonly #vain: RateLimiter

  constructor(components: Components) {
    this.#components = components
    this.#vain = new RateLimiter(components, VAIN_LIMIT)
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
    const waitMs = this.#vain.wait(incoming.peer, VAIN_LEFT)
    if (waitMs > 0) this.#giveUp(incoming, vain(incoming, waitMs))
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
    if (hosted === undefined) return this.#reject(incoming, 'unknown-session')
    if (attach.boundary !== facts.from || !equalBytes(attach.modelDigest, facts.modelDigest))
      return this.#reject(incoming, 'shape')
    if (hosted.upstream === incoming.peer) {
      if (attach.restart || !incoming.attached.has(key)) this.#admit(incoming, key, hosted)
      else this.#grant(incoming, key)
      return
    }
    if (incoming.early.size < MAX_EARLY_ATTACHES) incoming.early.add(key)
    this.#reject(incoming, 'foreign-peer')
  }

  /** Begins an attachment: a session has one at a time, on the stream that asked last. */
  #admit(incoming: Incoming, key: string, hosted: HostedSession): void {
    for (const other of this.#streams) this.#detach(other, key)
    incoming.keep()
    incoming.attached.set(key, new PushAttachment(hosted, { windowBytes: this.#components.limits.creditBytes }))
    this.#grant(incoming, key)
  }

  /** Ends an attachment, and reads past what is under way for it. */
  #detach(incoming: Incoming, key: string): void {
    const attachment = incoming.attached.get(key)
    if (attachment === undefined) return
    incoming.attached.delete(key)
    if (incoming.attached.size === 0) this.#expectAttach(incoming)
    incoming.partial.forgetAll(attachment)
  }

  #grant(incoming: Incoming, key: string): void {
    const limit = incoming.attached.get(key)?.grant()
    if (limit === undefined) return
    incoming.writer.send({ kind: 'attached', value: { pushKey: Buffer.from(key, 'hex'), ...limit } })
    if (incoming.writer.queuedBytes <= MAX_QUEUED_BYTES) return
    incoming.stream.abort(new RequestError('SLOW_READER', 'the answers to its attaches are not read'))
  }

  /** Checks a push by its header, before a byte of it is kept. */
  #destination(incoming: Incoming, push: Push, bytes: number): Uint8Array | null {
    const key = toHex(push.pushKey)
    const attachment = incoming.attached.get(key)
    if (attachment === undefined) {
      this.#reject(incoming, this.#sessions.has(key) ? 'not-attached' : 'unknown-session', bytes)
      return null
    }
    if (!attachment.begin(bytes)) {
      this.#reject(incoming, 'no-credit', bytes)
      return null
    }
    if (push.n < 1 || bytes !== push.n * this.#components.facts.hiddenSize * 4) {
      this.#finish(incoming, attachment, bytes)
      this.#reject(incoming, 'shape', bytes)
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
    const { hosted } = attachment
    const { facts, digest: digestOf } = this.#components
    this.#finish(incoming, attachment, tensor.length)
    const digest = digestOf({ boundary: facts.from, position: push.position, n: push.n }, tensor)
    const reason = checkPush(push, digest, { facts, owner: hosted.session.owner, upstream: incoming.peer })
    if (reason !== null) {
      hosted.dropBuffer(buffer)
      return this.#reject(incoming, reason, tensor.length)
    }
    const { epoch, step, position, n, receipt } = push
    const { pushes } = hosted.race
    const ignoredBefore = pushes.ignored
    hosted.onPush(push, { epoch, step, position, n, receipt, digest, input: buffer, bytes: tensor.length })
    if (pushes.ignored > ignoredBefore) this.#charge(incoming, vainCost(tensor.length))
  }

  #reject(incoming: Incoming, reason: RejectedReason, bytes = 0): void {
    this.#count(reason)
    this.#charge(incoming, vainCost(bytes))
  }

  #count(reason: RejectedReason): void {
    const { ignored } = this.#components.ledger
    ignored.set(reason, (ignored.get(reason) ?? 0) + 1)
  }

  /** @throws RateLimitedError for a peer that has sent too much in vain: its stream is to be ended */
  #charge(incoming: Incoming, cost: number): void {
    const waitMs = this.#vain.take(incoming.peer, cost)
    if (waitMs > 0) throw vain(incoming, waitMs)
  }
}

const vain = ({ peer }: Incoming, waitMs: number): RateLimitedError =>
  new RateLimitedError(peer, 'pushes in vain', waitMs)

function vainCost(bytes: number): number {
  return 1 + Math.floor(bytes / VAIN_FRAGMENT_BYTES)
}
