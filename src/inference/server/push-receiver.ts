import { toAndthenError } from '../../base/index.ts'
import type { PeerStream } from '../../network/index.ts'
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
import type { StatesBuffer } from '../buffers.ts'
import { RequestError } from '../errors.ts'
import type { ServerComponents } from './facts.ts'
import type { HostedSession } from './hosted-session.ts'
import { PushAttachment } from './push-attachment.ts'
import { checkPush, type RejectedReason } from './upstream-check.ts'

/** Attaches that came before their session's owner named the upstream; a race of two messages, so few and short-lived. */
const MAX_EARLY_ATTACHES = 16
/** A stream on which no session is attached is not kept: whoever has something to push opens another one. */
const UNATTACHED_MS = 30_000
/** Answers that wait to be read by a sender; one who asks and does not read is not kept. */
const MAX_QUEUED_BYTES = 64 * 1024

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
  /** Buffers being filled, by the view that the reader fills. */
  readonly filling: Map<Uint8Array, { attachment: PushAttachment; buffer: StatesBuffer }>
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

  constructor(components: Components) {
    this.#components = components
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
    const { limits, logger } = this.#components
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
      filling: new Map()
    }
    this.#streams.add(incoming)
    this.#expectAttach(incoming)
    stream.onDrain = () => writer.drained()
    stream.onClose = () => {
      this.#streams.delete(incoming)
      incoming.keep()
      writer.clear()
      for (const { hosted } of incoming.attached.values()) hosted.onUpstreamGone()
    }
    stream.onData = chunk => {
      try {
        reader.push(chunk)
      } catch (thrown) {
        logger.debug({ peer: incoming.peer, error: toAndthenError(thrown).message }, 'a push stream was given up')
        stream.abort(toAndthenError(thrown))
      }
    }
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
    if (hosted === undefined) return this.#reject('unknown-session')
    if (attach.boundary !== facts.from || !equalBytes(attach.modelDigest, facts.modelDigest))
      return this.#reject('shape')
    if (hosted.upstream === incoming.peer) {
      if (attach.restart || !incoming.attached.has(key)) this.#admit(incoming, key, hosted)
      else this.#grant(incoming, key)
      return
    }
    if (incoming.early.size < MAX_EARLY_ATTACHES) incoming.early.add(key)
    this.#reject('foreign-peer')
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
    for (const [view, filled] of incoming.filling) {
      if (filled.attachment !== attachment) continue
      incoming.filling.delete(view)
      incoming.reader.forget(view)
      attachment.hosted.dropBuffer(filled.buffer)
    }
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
      this.#reject(this.#sessions.has(key) ? 'not-attached' : 'unknown-session')
      return null
    }
    if (!attachment.begin(bytes)) {
      this.#reject('no-credit')
      return null
    }
    if (push.n < 1 || bytes !== push.n * this.#components.facts.hiddenSize * 4) {
      if (attachment.finish(bytes)) this.#grant(incoming, key)
      this.#reject('shape')
      return null
    }
    const buffer = attachment.hosted.takeBuffer(bytes)
    incoming.filling.set(buffer.bytes, { attachment, buffer })
    return buffer.bytes
  }

  #onPush(incoming: Incoming, push: Push, tensor: Uint8Array): void {
    const filled = incoming.filling.get(tensor)
    if (filled === undefined) return
    incoming.filling.delete(tensor)
    const { attachment, buffer } = filled
    const { hosted } = attachment
    const key = toHex(push.pushKey)
    const { facts, digest: digestOf } = this.#components
    if (attachment.finish(tensor.length)) this.#grant(incoming, key)
    const digest = digestOf({ boundary: facts.from, position: push.position, n: push.n }, tensor)
    const reason = checkPush(push, digest, { facts, owner: hosted.session.owner, upstream: incoming.peer })
    if (reason !== null) {
      hosted.dropBuffer(buffer)
      return this.#reject(reason)
    }
    const { epoch, step, position, n, receipt } = push
    hosted.onPush(push, { epoch, step, position, n, receipt, digest, input: buffer, bytes: tensor.length })
  }

  #reject(reason: RejectedReason): void {
    const { ignored } = this.#components.ledger
    ignored.set(reason, (ignored.get(reason) ?? 0) + 1)
  }
}
