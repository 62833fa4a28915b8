import { type Clock, type Logger, toAndthenError } from '../../../base/index.ts'
import { type Asker, type Network, PeerLimiter, type PeerStream } from '../../../network/index.ts'
import {
  attachFrames,
  type AttachMessage,
  MessageReader,
  MessageWriter,
  type NotPushed,
  type Outgoing,
  PUSH_PROTOCOL,
  pushFrames,
  type PushMessage,
  toHex
} from '../../../wire/index.ts'
import type { DialPolicy } from '../dial-policy.ts'
import { type NextServer, PushTarget } from './push-target.ts'

/** Bytes waiting for one next server at most; beyond it a push is dropped, and the owner sends its copy. */
const MAX_QUEUED_BYTES = 32 * 1024 * 1024
/** How long the owner's `Rewound` waits for the next server's `Attached`, ms. */
const ATTACH_WAIT_MS = 1000

/**
 * Attaches that one owner may cause: it may name another next server at every step, and one that never answers. The next
 * server holds attaches in vain against this node.
 */
const ATTACHES_PER_OWNER = { burst: 64, perSecond: 16 }

/**
 * How long steps go by without another dial of addresses that failed, ms: a dial that fails at once, as of an address that was
 * silent, would be one a step, and leave nothing of the owner's allowance, nor of the host's, which others have servers on.
 */
const REDIAL_MS = 2_000

type PushValue = Extract<Outgoing<PushMessage>, { kind: 'push' }>['value']

interface Link {
  readonly targets: Map<string, PushTarget>
  stream: PeerStream | null
  writer: MessageWriter<PushMessage> | null
  /** Addresses that it is being dialled at: sessions that name others do not wait for those. */
  readonly dialling: Set<string>
}

export interface PushSenderComponents {
  readonly network: Pick<Network, 'openStream'>
  readonly policy: DialPolicy
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * The sending end of pushes: one long-lived stream to each next server, shared by all sessions that push there, opened
 * for the first of them and closed after the last. A push is fire and forget: never awaited, never retried, dropped when
 * the stream is behind; the answer says so, and the owner's copy takes its place.
 */
export class PushSender {
  readonly #components: PushSenderComponents
  readonly #modelDigest: Uint8Array
  readonly #boundary: number
  readonly #links = new Map<string, Link>()
  readonly #attaches: PeerLimiter

  /** `boundary` is one past this server's last block: the first of every next server. */
  constructor(components: PushSenderComponents, init: { modelDigest: Uint8Array; boundary: number }) {
    this.#components = components
    this.#attaches = new PeerLimiter(components, ATTACHES_PER_OWNER)
    this.#modelDigest = init.modelDigest
    this.#boundary = init.boundary
  }

  /** Begins to attach a session of `owner` to its next server; ends with `release`. */
  attach(next: NextServer, owner: Asker): PushTarget {
    const target = new PushTarget(next, owner)
    const known = this.#links.get(next.peerId)
    const link = known ?? { targets: new Map<string, PushTarget>(), stream: null, writer: null, dialling: new Set() }
    link.targets.get(next.pushKey)?.onLost('NOT_ATTACHED')
    link.targets.set(next.pushKey, target)
    this.#links.set(next.peerId, link)
    this.#retry(link, target)
    return target
  }

  /** Resolves when the next server has answered, or with why not, after a second at most. */
  async attached(target: PushTarget): Promise<NotPushed> {
    const { outcome, cancel } = target.settled()
    const stop = this.#components.clock.after(ATTACH_WAIT_MS, cancel)
    const reason = await outcome
    stop()
    return reason
  }

  /** Enqueues one step's output. The bytes must not change afterwards. */
  push(target: PushTarget, value: PushValue, bytes: Uint8Array, stale: () => boolean): NotPushed {
    const link = this.#links.get(target.next.peerId)
    if (link?.targets.get(target.next.pushKey) !== target) return 'NOT_ATTACHED'
    const permit = target.permit(bytes.length)
    const isDue = link.stream !== null || this.#components.clock.now() >= target.redialAt
    if (!target.attached && isDue) this.#retry(link, target)
    if (permit !== 'PUSHED' || link.writer === null) return permit === 'PUSHED' ? 'NOT_ATTACHED' : permit
    if (link.writer.queuedBytes + bytes.length > MAX_QUEUED_BYTES) return 'QUEUE_FULL'
    target.sent(bytes.length)
    link.writer.sendTensor({ kind: 'push', value }, bytes, { key: target.next.pushKey, stale })
    return 'PUSHED'
  }

  /** The session pushes there no more; `gone` says that it has ended. */
  release(target: PushTarget, gone?: string): void {
    const { peerId, pushKey } = target.next
    const link = this.#links.get(peerId)
    if (link?.targets.get(pushKey) !== target) return
    link.targets.delete(pushKey)
    if (gone !== undefined && target.attached)
      link.writer?.send({ kind: 'upstreamGone', value: { pushKey: Buffer.from(pushKey, 'hex'), reason: gone } })
    target.onLost('NOT_ATTACHED')
    if (link.targets.size > 0) return
    this.#links.delete(peerId)
    link.stream?.close().catch((thrown: unknown) => this.#logLost(peerId, thrown))
  }

  close(): void {
    for (const { targets } of [...this.#links.values()])
      for (const target of [...targets.values()]) this.release(target)
  }

  /** An attach that was not answered is repeated with the next step; a lost stream is opened again. */
  #retry(link: Link, target: PushTarget): void {
    const isUnderWay = link.stream === null && link.dialling.has(placeOf(target))
    if (isUnderWay || this.#attaches.take(target.owner) > 0) return
    if (link.stream === null) void this.#connect(target, link)
    else this.#sendAttach(link, target)
  }

  /** A way that one session names may lead nowhere, on purpose: its failure is for those that name the same. */
  async #connect(target: PushTarget, link: Link): Promise<void> {
    const { network, policy, clock } = this.#components
    const { next, owner } = target
    const place = placeOf(target)
    const fail = (reason: NotPushed): void => {
      if (link.stream !== null) return
      for (const other of link.targets.values()) {
        if (placeOf(other) !== place) continue
        other.redialAt = clock.now() + REDIAL_MS
        other.onLost(reason)
      }
    }
    const targets = policy.spend(owner, next.peerId, policy.targets(next.peerId, next.addresses))
    if (targets.length === 0) return fail('REFUSED')
    link.dialling.add(place)
    try {
      const stream = await network.openStream(targets, PUSH_PROTOCOL, { askedBy: owner.host })
      if (this.#links.get(next.peerId) !== link || link.stream !== null) void stream.close()
      else this.#adopt(next.peerId, link, stream)
    } catch (thrown) {
      this.#logLost(next.peerId, thrown)
      fail('UNREACHABLE')
    } finally {
      link.dialling.delete(place)
    }
  }

  #adopt(peerId: string, link: Link, stream: PeerStream): void {
    const writer = new MessageWriter<PushMessage>({ codec: pushFrames, sink: stream })
    const handler = {
      onMessage: ({ value }: AttachMessage) => {
        link.targets.get(toHex(value.pushKey))?.onAttached(value)
        return null
      },
      onTensor: () => undefined
    }
    const reader = new MessageReader<AttachMessage>({ codec: attachFrames, handler }, { maxTensorBytes: 0 })
    link.stream = stream
    link.writer = writer
    stream.onDrain = () => writer.drained()
    stream.onData = chunk => {
      try {
        reader.push(chunk)
      } catch (thrown) {
        stream.abort(toAndthenError(thrown))
      }
    }
    stream.onClose = () => {
      writer.clear()
      if (link.stream === stream) this.#lost(peerId, link, 'NOT_ATTACHED')
    }
    for (const target of link.targets.values()) this.#sendAttach(link, target)
  }

  #sendAttach(link: Link, target: PushTarget): void {
    const restart = target.asked()
    const pushKey = Buffer.from(target.next.pushKey, 'hex')
    link.writer?.send({
      kind: 'attach',
      value: { pushKey, restart, modelDigest: this.#modelDigest, boundary: this.#boundary }
    })
  }

  #lost(peerId: string, link: Link, reason: NotPushed): void {
    link.stream = null
    link.writer = null
    for (const target of link.targets.values()) target.onLost(reason)
    if (link.targets.size === 0 && this.#links.get(peerId) === link) this.#links.delete(peerId)
  }

  #logLost(peerId: string, thrown: unknown): void {
    this.#components.logger.debug(
      { peer: peerId, error: toAndthenError(thrown).message },
      'no push stream to the next server'
    )
  }
}

/** Where a session says that its next server is. */
function placeOf({ next }: PushTarget): string {
  return next.addresses.join(' ')
}
