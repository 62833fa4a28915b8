import { randomBytes } from 'node:crypto'
import { type Logger, toAndthenError } from '../../base/index.ts'
import type { Network, PeerStream } from '../../network/index.ts'
import { type EndReason, type Session, SessionTable, type SessionTableInit } from '../../session/index.ts'
import {
  Codec,
  equalBytes,
  INFERENCE_PROTOCOL,
  KEY_BYTES,
  type MessageHandler,
  type Open,
  type OwnerMessage,
  PROTOCOL_VERSION,
  PUSH_PROTOCOL,
  type Resume
} from '../../wire/index.ts'
import { RequestError } from '../errors.ts'
import { DialPolicy } from './dial-policy.ts'
import type { ServerComponents } from './facts.ts'
import { HostedSession } from './hosted-session.ts'
import { OwnerConnection } from './owner-connection.ts'
import { PushReceiver } from './push-receiver.ts'
import { PushSender } from './push-sender.ts'
import { sessionRows } from './session-rows.ts'

/** A stream on which nothing was asked for is not kept, ms. */
const FIRST_MESSAGE_MS = 10_000

export interface InferenceServerComponents extends ServerComponents {
  readonly network: Network
}

export interface InferenceServerInit extends Omit<SessionTableInit, 'slots'> {
  /** Bytes of KV cache that a token of one session takes. */
  kvBytesPerToken: number
}

/** What is told of one session to the node's owner. */
export interface SessionSnapshot {
  id: string
  owner: string
  state: string
  length: number
  committed: number
  idleMs: number
  stateBytes: number
  next: string | null
}

/** Serves the inference and push protocols: one per node. */
export class InferenceServer {
  readonly table: SessionTable
  readonly #components: InferenceServerComponents
  readonly #logger: Logger
  readonly #kvBytesPerToken: number
  readonly #sender: PushSender
  readonly #receiver: PushReceiver
  readonly #hosted = new Map<Session, HostedSession>()

  constructor(components: InferenceServerComponents, init: InferenceServerInit) {
    const { network, clock, logger, facts, runner } = components
    const { kvBytesPerToken, ...tableInit } = init
    this.#components = components
    this.#logger = logger
    this.#kvBytesPerToken = kvBytesPerToken
    const policy = new DialPolicy({ clock, ownAddresses: () => network.addresses() })
    this.#sender = new PushSender(
      { network, policy, clock, logger },
      { modelDigest: facts.modelDigest, boundary: facts.to }
    )
    this.#receiver = new PushReceiver(components)
    this.table = new SessionTable(
      {
        clock,
        logger,
        rows: sessionRows(runner, kvBytesPerToken),
        random: randomBytes,
        events: {
          onPromoted: session => this.#opened(session),
          onTerminated: (session, reason) => this.#terminated(session, reason)
        }
      },
      { ...tableInit, slots: runner.slots }
    )
  }

  /** Begins to answer. */
  async start(): Promise<void> {
    const { network } = this.#components
    await network.handle(INFERENCE_PROTOCOL, stream => this.#accept(stream))
    await network.handle(PUSH_PROTOCOL, stream => this.#receiver.accept(stream))
  }

  /** Refuses new sessions and lets running ones go on, then ends them. */
  async drain(options: { timeoutMs: number }): Promise<void> {
    await this.table.drain(options)
  }

  async close(): Promise<void> {
    await this.table.close()
    this.#sender.close()
  }

  sessions(): SessionSnapshot[] {
    return [...this.table.sessions].map(session => {
      const hosted = this.#hosted.get(session)
      const { length, committed } = hosted?.race.lengths ?? { length: 0, committed: 0 }
      return {
        id: session.id,
        owner: session.owner,
        state: session.state,
        length,
        committed,
        idleMs: Math.round(this.table.idleMs(session)),
        stateBytes: this.table.stateBytes(session),
        next: hosted?.next ?? null
      }
    })
  }

  /** Ends the sessions of this id; false when there is none. */
  async endSession(id: string): Promise<boolean> {
    const found = [...this.table.sessions].filter(session => session.id === id)
    await Promise.all(found.map(session => this.table.end(session, 'CANCEL')))
    return found.length > 0
  }

  #accept(stream: PeerStream): void {
    let hosted: HostedSession | null = null
    let streamNumber = 0
    const { limits, clock, logger } = this.#components
    const giveUp = clock.after(FIRST_MESSAGE_MS, () =>
      connection.fail(new RequestError('BAD_REQUEST', `nothing was asked for in ${FIRST_MESSAGE_MS} ms`))
    )
    const begin = (message: OwnerMessage): void => {
      giveUp()
      try {
        if (message.kind === 'open') hosted = this.#open(message.value, connection)
        else if (message.kind === 'resume') hosted = this.#resume(message.value, connection)
        else throw new RequestError('BAD_REQUEST', `a stream begins with open or resume, not ${message.kind}`)
        streamNumber = hosted.session.connection
      } catch (thrown) {
        connection.fail(toAndthenError(thrown))
      }
    }
    const handler: MessageHandler<OwnerMessage> = {
      onMessage: (message, bytes) => {
        if (hosted === null) {
          begin(message)
          return null
        }
        return this.#onMessage(hosted, message, bytes)
      },
      onTensor: (message, tensor) => {
        if (message.kind === 'step') hosted?.onCopy(message.value, tensor)
      }
    }
    const connection: OwnerConnection = new OwnerConnection(
      { stream, handler, logger },
      {
        maxTensorBytes: limits.creditBytes,
        onClose: () => {
          giveUp()
          if (hosted?.connection === connection) hosted.connection = null
          if (hosted !== null) this.table.connectionLost(hosted.session, streamNumber)
        },
        onSlow: () => {
          if (hosted !== null) void this.table.end(hosted.session, 'ERROR')
        }
      }
    )
  }

  #onMessage(hosted: HostedSession, message: OwnerMessage, bytes: number): Uint8Array | null {
    this.table.touch(hosted.session)
    switch (message.kind) {
      case 'step':
        return hosted.onStep(message.value, bytes)
      case 'verify':
        hosted.onVerify(message.value.epoch, message.value.step, message.value.digest)
        return null
      case 'rewind':
        hosted.onRewind(message.value)
        return null
      case 'close':
        void this.table.end(hosted.session, 'END')
        return null
      case 'keepAlive':
        return null
      case 'open':
      case 'resume':
        hosted.connection?.fail(new RequestError('BAD_REQUEST', `${message.kind} on a stream that has a session`))
        return null
    }
  }

  #open(open: Open, connection: OwnerConnection): HostedSession {
    this.#check(open)
    const { ledger } = this.#components
    const maxLength = open.maxLength === 0 ? this.#components.facts.maxLength : open.maxLength
    const session = this.table.open({
      owner: connection.owner,
      id: Buffer.from(open.id).toString('hex'),
      maxLength,
      bytes: maxLength * this.#kvBytesPerToken,
      priority: open.priority,
      replace: open.replace
    })
    const hosted = new HostedSession(
      { ...this.#components, table: this.table, sender: this.#sender },
      {
        session,
        open,
        pushKey: randomBytes(KEY_BYTES),
        connection,
        onUpstream: () => this.#receiver.onUpstream(hosted)
      }
    )
    this.#hosted.set(session, hosted)
    ledger.clients.add(connection.owner)
    if (session.state === 'queued') connection.send({ kind: 'queued', value: { place: this.table.place(session) + 1 } })
    else void session.started.then(() => this.#opened(session))
    return hosted
  }

  /** @throws RequestError for what this node does not serve */
  #check(open: Open): void {
    const { facts } = this.#components
    if (open.version !== PROTOCOL_VERSION)
      throw new RequestError('VERSION', `protocol version ${open.version}; this node speaks ${PROTOCOL_VERSION}`)
    if (!equalBytes(open.modelDigest, facts.modelDigest))
      throw new RequestError('MODEL_MISMATCH', 'this node serves another model, or other weights of it', {
        details: { modelDigest: Buffer.from(facts.modelDigest).toString('hex') }
      })
    if (open.from !== facts.from || open.to !== facts.to)
      throw new RequestError(
        'BLOCKS_NOT_SERVED',
        `blocks ${open.from}-${open.to}; this node serves ${facts.from}-${facts.to}`
      )
    if (open.maxLength > facts.maxLength)
      throw new RequestError(
        'LENGTH_EXCEEDED',
        `a session of ${open.maxLength} tokens; this node holds ${facts.maxLength} at most`
      )
    if (open.codec !== Codec.f32) throw new RequestError('CODEC', `codec ${open.codec}; this node speaks f32`)
    if (open.id.length !== KEY_BYTES)
      throw new RequestError('BAD_REQUEST', `a session id of ${open.id.length} bytes, not ${KEY_BYTES}`)
    if (open.route !== null) throw new RequestError('NOT_AVAILABLE', 'delegate routes are not available on this node')
  }

  #opened(session: Session): void {
    const hosted = this.#hosted.get(session)
    if (hosted === undefined || session.incarnation === undefined || session.signal.aborted) return
    this.#receiver.add(hosted)
    this.#components.ledger.sessions++
    this.#logger.info({ session: session.id, owner: session.owner, slot: session.row?.slot }, 'session opened')
    hosted.connection?.send({
      kind: 'opened',
      value: {
        incarnation: session.incarnation,
        pushKey: hosted.pushKey,
        lengths: hosted.race.lengths,
        credit: hosted.credit,
        maxTentative: this.#components.limits.maxTentative
      }
    })
  }

  #resume(resume: Resume, connection: OwnerConnection): HostedSession {
    const id = Buffer.from(resume.id).toString('hex')
    const session = this.table.resume(connection.owner, id, resume.incarnation)
    const hosted = this.#hosted.get(session)
    if (hosted === undefined) throw new RequestError('GONE', `session ${id} is ending`)
    hosted.onResume(connection, resume)
    this.#logger.info({ session: id, owner: connection.owner }, 'session resumed')
    return hosted
  }

  #terminated(session: Session, reason: EndReason): void {
    const hosted = this.#hosted.get(session)
    this.#hosted.delete(session)
    if (hosted === undefined) return
    this.#receiver.remove(hosted)
    const { pushes, ignored } = this.#components.ledger
    for (const kind of ['used', 'late', 'ignored', 'mismatched'] as const) pushes[kind] += hosted.race.pushes[kind]
    for (const [why, count] of Object.entries(hosted.race.ignored)) ignored.set(why, (ignored.get(why) ?? 0) + count)
    this.#logger.info({ session: session.id, owner: session.owner, reason, ...hosted.race.lengths }, 'session ended')
    hosted.end(reason, false)
  }
}
