import type { PeerStream } from '../../../network/index.ts'
import { type MessageHandler, type Push, type PushMessage, toHex } from '../../../wire/index.ts'
import type { StatesBuffer } from '../../buffers.ts'
import { countIgnored, type ServerComponents } from '../facts.ts'
import { Attachments } from './attachments.ts'
import { Forgers } from './forgers.ts'
import type { PushAttachment } from './push-attachment.ts'
import { PushStream } from './push-stream.ts'
import { checkPush, type RejectedReason } from './upstream-check.ts'
import { VainPushes } from './vain-pushes.ts'

type Components = Pick<ServerComponents, 'facts' | 'limits' | 'digest' | 'verify' | 'clock' | 'logger' | 'ledger'>

/**
 * Where a push is verified: by its header before a byte of it is kept, by its bytes and its receipt before it reaches a
 * session's race. What fails is read past and counted by reason, never answered.
 */
export class PushReceiver {
  /** Who may push, and into which sessions. */
  readonly attachments: Attachments
  readonly forgers: Forgers
  readonly #components: Components
  readonly #vain: VainPushes

  constructor(components: Components) {
    this.#components = components
    this.forgers = new Forgers(components)
    this.#vain = new VainPushes(components)
    this.attachments = new Attachments({ ...components, vain: this.#vain })
  }

  /** A stream of the push protocol. */
  accept(stream: PeerStream): void {
    const handler: MessageHandler<PushMessage> = {
      onMessage: (message, bytes) => this.#onMessage(pushes, message, bytes),
      onTensor: (message, tensor) => {
        if (message.kind === 'push') this.#onPush(pushes, message.value, tensor)
      }
    }
    const pushes: PushStream = new PushStream(
      { ...this.#components, stream },
      {
        handler,
        maxTensorBytes: this.#components.limits.creditBytes,
        onExpired: ({ attachment, buffer }) => {
          this.#finish(pushes, attachment, buffer.bytes.length)
          this.#count('expired')
        },
        onClose: () => this.attachments.closed(pushes)
      }
    )
    this.attachments.opened(pushes)
    const error = this.#vain.refusal(pushes.asker)
    if (error !== null) pushes.giveUp(error)
  }

  #onMessage(stream: PushStream, message: PushMessage, bytes: number): Uint8Array | null {
    switch (message.kind) {
      case 'attach':
        this.attachments.onAttach(stream, message.value)
        return null
      case 'upstreamGone':
        this.attachments.onUpstreamGone(stream, message.value.pushKey)
        return null
      case 'push':
        return this.#destination(stream, message.value, bytes)
    }
  }

  /** Checks a push by its header; returns where its bytes go, or null to read past them. */
  #destination(stream: PushStream, push: Push, bytes: number): Uint8Array | null {
    const key = toHex(push.pushKey)
    const attachment = stream.attachment(key)
    if (attachment === undefined) {
      this.#count(this.attachments.has(key) ? 'not-attached' : 'unknown-session')
      // It was granted before its session ended or was given another upstream, which its sender may not know.
      if (stream.former(key)?.begin(bytes) !== true) this.#vain.push(stream.asker, bytes)
      return null
    }
    if (!attachment.credit.begin(bytes)) {
      this.#count('no-credit')
      this.#vain.push(stream.asker, bytes)
      return null
    }
    if (push.n < 1 || bytes !== push.n * this.#components.facts.hiddenSize * 4) {
      this.#count('shape')
      this.#vain.granted(key, bytes)
      this.#finish(stream, attachment, bytes)
      return null
    }
    return stream.partial.begin(attachment, bytes)
  }

  #onPush(stream: PushStream, push: Push, tensor: Uint8Array): void {
    const whole = stream.partial.finish(tensor)
    if (whole === undefined) return
    const { attachment, buffer } = whole
    if (!this.#isUsed(stream, push, attachment, buffer)) this.#vain.granted(toHex(push.pushKey), tensor.length)
    this.#finish(stream, attachment, tensor.length)
  }

  /** Checks what a push says of itself here, and whether it fits in the race. False where it was ignored. */
  #isUsed({ peer }: PushStream, push: Push, { hosted }: PushAttachment, input: StatesBuffer): boolean {
    const { facts, digest: digestOf } = this.#components
    const { epoch, step, position, n, receipt } = push
    const { bytes } = input
    const digest = digestOf({ boundary: facts.from, position, n }, bytes)
    let reason = checkPush(push, digest, {
      facts,
      owner: hosted.session.owner,
      upstream: peer,
      incarnation: hosted.upstreamIncarnation
    })
    if (reason === null && this.forgers.refuses(peer, receipt)) reason = 'receipt'
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

  /** A push is over, whatever came of it. */
  #finish(stream: PushStream, attachment: PushAttachment, bytes: number): void {
    if (attachment.credit.finish(bytes)) this.attachments.grant(stream, toHex(attachment.hosted.pushKey))
  }

  #count(reason: RejectedReason): void {
    countIgnored(this.#components.ledger, reason)
  }
}
