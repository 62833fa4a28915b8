import { type Attach, equalBytes, toHex } from '../../../wire/index.ts'
import { countIgnored, type ServerComponents } from '../facts.ts'
import type { HostedSession } from '../hosted/hosted-session.ts'
import { PushAttachment } from './push-attachment.ts'
import type { PushStream } from './push-stream.ts'
import type { RejectedReason } from './upstream-check.ts'
import type { VainPushes } from './vain-pushes.ts'

/** Attaches that came before their session's owner named the upstream; a race of two messages, so few and short-lived. */
const MAX_EARLY_ATTACHES = 16

export interface AttachmentsComponents extends Pick<ServerComponents, 'facts' | 'limits' | 'clock' | 'ledger'> {
  readonly vain: VainPushes
}

/**
 * Where an upstream server attaches to a session: the peer that the session's owner named, with the session's key, on the
 * stream on which it asked last. Others are never answered.
 */
export class Attachments {
  readonly #components: AttachmentsComponents
  readonly #sessions = new Map<string, HostedSession>()
  readonly #streams = new Set<PushStream>()

  constructor(components: AttachmentsComponents) {
    this.#components = components
  }

  add(hosted: HostedSession): void {
    this.#sessions.set(toHex(hosted.pushKey), hosted)
  }

  remove(hosted: HostedSession): void {
    const key = toHex(hosted.pushKey)
    this.#sessions.delete(key)
    for (const stream of this.#streams) {
      stream.early.delete(key)
      stream.detach(key)
    }
  }

  /** A session has this key. */
  has(key: string): boolean {
    return this.#sessions.has(key)
  }

  opened(stream: PushStream): void {
    this.#streams.add(stream)
  }

  closed(stream: PushStream): void {
    this.#streams.delete(stream)
    for (const { hosted } of stream.attachments) hosted.onUpstreamGone()
  }

  /** The session's owner named its upstream: lets in whoever of that name asked before, and nobody else any more. */
  onUpstream(hosted: HostedSession): void {
    const key = toHex(hosted.pushKey)
    for (const stream of [...this.#streams]) {
      if (stream.peer !== hosted.upstream) stream.detach(key)
      // One that is attached has its credit: an owner that names it again and again has nothing sent to it for that.
      else if (stream.early.delete(key)) this.#admit(stream, key, hosted)
    }
  }

  /** A peer asks to push into the session of this key. @throws RateLimitedError: too often in vain */
  onAttach(stream: PushStream, attach: Attach): void {
    const key = toHex(attach.pushKey)
    const hosted = this.#sessions.get(key)
    const { facts } = this.#components
    if (hosted === undefined) return this.#reject(stream, 'unknown-session')
    if (attach.boundary !== facts.from || !equalBytes(attach.modelDigest, facts.modelDigest))
      return this.#reject(stream, 'shape')
    if (hosted.upstream === stream.peer) {
      if (attach.restart || stream.attachment(key) === undefined) this.#admit(stream, key, hosted)
      else this.grant(stream, key)
      return
    }
    if (stream.early.size < MAX_EARLY_ATTACHES) stream.early.add(key)
    this.#reject(stream, 'foreign-peer')
  }

  onUpstreamGone(stream: PushStream, pushKey: Uint8Array): void {
    const key = toHex(pushKey)
    const attachment = stream.attachment(key)
    stream.forget(key)
    attachment?.hosted.onUpstreamGone()
  }

  /** Lets the peer push more; now, or when the session is no longer over its limit of pushes in vain. */
  grant(stream: PushStream, key: string): void {
    const { clock, vain } = this.#components
    const attachment = stream.attachment(key)
    if (attachment === undefined || attachment.withheld) return
    const waitMs = vain.sessionWait(key)
    if (waitMs > 0) {
      attachment.withheld = true
      clock.after(waitMs, () => {
        attachment.withheld = false
        if (this.#streams.has(stream) && stream.attachment(key) === attachment) this.grant(stream, key)
      })
      return
    }
    stream.grant(key, attachment.credit.grant())
  }

  /** Begins an attachment: a session has one at a time, on the stream that asked last. */
  #admit(stream: PushStream, key: string, hosted: HostedSession): void {
    for (const other of this.#streams) other.detach(key)
    stream.attach(key, new PushAttachment(hosted, { windowBytes: this.#components.limits.creditBytes }))
    this.grant(stream, key)
  }

  #reject(stream: PushStream, reason: RejectedReason): void {
    countIgnored(this.#components.ledger, reason)
    this.#components.vain.attach(stream.asker)
  }
}
