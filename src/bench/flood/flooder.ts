import { randomBytes } from 'node:crypto'
import { type Clock, silentLogger, systemClock } from '../../base/index.ts'
import { openSession, type SpanSession } from '../../inference/index.ts'
import { createIdentity, createNetwork, type Identity, type Network, type PeerStream } from '../../network/index.ts'
import {
  createDigester,
  type Digester,
  KEY_BYTES,
  MessageWriter,
  type Push,
  PUSH_PROTOCOL,
  pushFrames,
  type PushMessage,
  type Receipt,
  signReceipt
} from '../../wire/index.ts'
import type { FloodCounts, FloodRequest } from './flood-calls.ts'

/** Pushes go out in bursts, so that the flooder itself takes little of the machine. */
const BURST_MS = 10
/** At once. */
const MOST_BURSTS = 3
/** What may wait in the flooder, so that a server that reads no more is not measured by the flooder's memory. */
const MAX_WAITING_BYTES = 1024 * 1024
const SESSION_TOKENS = 64
const DIGEST_BYTES = 32

interface Forgery {
  readonly push: Push
  readonly bytes: Uint8Array
}

interface Outgoing {
  readonly peer: PeerStream
  readonly writer: MessageWriter<PushMessage>
}

/**
 * A stranger who pours pushes into a server, as many kinds of them as a stranger can make: into sessions that are not,
 * into one that names somebody else as its upstream, and, where it is most work to refuse them, into one of its own:
 * of the wrong shape, with other bytes than their digest, with forged receipts, and the same one again and again.
 */
export class Flooder {
  readonly #request: FloodRequest
  readonly #clock: Clock
  readonly #identity: Identity
  readonly #network: Network
  readonly #digest: Digester
  readonly #sessions: SpanSession[] = []
  #forgeries: Forgery[] = []
  #stream: Outgoing | null = null
  #opening = false
  #stopped = false
  #cancel: () => void = () => undefined
  #startedAt = 0
  #tried = 0
  readonly #counts = { sent: 0, withheld: 0, streams: 0, ended: 0 }

  private constructor(request: FloodRequest, identity: Identity, network: Network) {
    this.#request = request
    this.#clock = systemClock
    this.#identity = identity
    this.#network = network
    const modelDigest = Buffer.from(request.modelDigest, 'hex')
    this.#digest = createDigester({ modelDigest, hiddenSize: request.hiddenSize })
  }

  static async start(request: FloodRequest): Promise<Flooder> {
    const identity = await createIdentity()
    const flooder = new Flooder(request, identity, await createNetwork({ identity }))
    await flooder.#begin()
    return flooder
  }

  async stop(): Promise<FloodCounts> {
    this.#stopped = true
    this.#cancel()
    const elapsedMs = this.#clock.now() - this.#startedAt
    for (const session of this.#sessions) await session.close()
    await this.#network.close()
    return { ...this.#counts, elapsedMs }
  }

  async #begin(): Promise<void> {
    const own = await this.#open(this.#identity.peerId)
    const others = await this.#open((await createIdentity()).peerId)
    this.#forgeries = this.#prepare(own, others)
    await this.#openStream()
    this.#startedAt = this.#clock.now()
    this.#tick()
  }

  /** A session of its own, that names this upstream. */
  async #open(upstream: string): Promise<SpanSession> {
    const { target, modelDigest, from, to } = this.#request
    const session = await openSession(
      { network: this.#network, logger: silentLogger, clock: this.#clock },
      {
        ...{ peer: target, modelDigest: Buffer.from(modelDigest, 'hex'), from, to, verify: 'digest' },
        ...{ maxLength: SESSION_TOKENS, maxTensorBytes: 0 }
      }
    )
    await session.rewind({ epoch: 1, length: 0, upstream })
    this.#sessions.push(session)
    return session
  }

  #prepare(own: SpanSession, others: SpanSession): Forgery[] {
    const { hiddenSize, from } = this.#request
    const bytes = randomBytes(hiddenSize * Float32Array.BYTES_PER_ELEMENT)
    const { pushKey } = own.opened
    const honest = (step: number, receipt: (statement: Receipt) => Receipt): Push => {
      const digest = this.#digest({ boundary: from, position: step, n: 1 }, bytes)
      return { pushKey, epoch: 1, step, position: step, n: 1, digest, receipt: receipt(this.#sign(step, digest)) }
    }
    const push = honest(1, receipt => receipt)
    // Of an epoch's first step the signature is looked at.
    const forged = honest(0, ({ statement }) => ({ statement, signature: randomBytes(64) }))
    return [
      { push: { ...push, pushKey: randomBytes(KEY_BYTES) }, bytes },
      { push: { ...push, pushKey: others.opened.pushKey }, bytes },
      { push: { ...push, n: 2 }, bytes },
      { push: { ...push, digest: randomBytes(DIGEST_BYTES) }, bytes },
      { push: forged, bytes },
      { push, bytes }
    ]
  }

  #sign(step: number, outputDigest: Uint8Array): Receipt {
    const { modelDigest, from } = this.#request
    const { peerId, sign } = this.#identity
    const statement = {
      ...{ server: peerId, owner: peerId, incarnation: randomBytes(KEY_BYTES) },
      ...{ modelDigest: Buffer.from(modelDigest, 'hex'), from: 0, to: from },
      ...{ epoch: 1, step, position: step, n: 1, inputDigest: randomBytes(DIGEST_BYTES), outputDigest }
    }
    return signReceipt(statement, sign)
  }

  /** Opens another stream as soon as the server ends one, and attaches its own session to it. */
  async #openStream(): Promise<void> {
    if (this.#opening) return
    this.#opening = true
    try {
      const peer = await this.#network.openStream(this.#request.target, PUSH_PROTOCOL)
      const writer = new MessageWriter<PushMessage>({ codec: pushFrames, sink: peer })
      peer.onData = () => undefined
      peer.onDrain = () => writer.drained()
      peer.onClose = () => {
        if (!this.#stopped) this.#counts.ended++
        this.#stream = null
      }
      this.#stream = { peer, writer }
      this.#counts.streams++
      const { from, modelDigest } = this.#request
      for (const { opened } of this.#sessions)
        writer.send({
          kind: 'attach',
          value: { pushKey: opened.pushKey, modelDigest: Buffer.from(modelDigest, 'hex'), boundary: from }
        })
    } catch {
      // Refused, which is what it is here to find out: the next burst tries again.
      if (!this.#stopped) this.#counts.ended++
    } finally {
      this.#opening = false
    }
  }

  #tick(): void {
    const { perSecond } = this.#request
    const due = Math.floor(((this.#clock.now() - this.#startedAt) * perSecond) / 1000) - this.#tried
    this.#tried += due
    // What a pause of this process kept back is not poured out at once.
    for (let left = Math.min(due, (MOST_BURSTS * perSecond * BURST_MS) / 1000); left > 0; left--) this.#push()
    if (this.#stream === null) void this.#openStream()
    this.#cancel = this.#clock.after(BURST_MS, () => this.#tick())
  }

  #push(): void {
    const forgery = this.#forgeries[this.#counts.sent % this.#forgeries.length]
    if (this.#stream === null || forgery === undefined || isFull(this.#stream)) {
      this.#counts.withheld++
      return
    }
    this.#counts.sent++
    this.#stream.writer.sendTensor({ kind: 'push', value: forgery.push }, forgery.bytes)
  }
}

function isFull({ peer, writer }: Outgoing): boolean {
  return writer.queuedBytes + peer.bufferedBytes > MAX_WAITING_BYTES
}
