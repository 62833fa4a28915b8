import { randomBytes } from 'node:crypto'
import { type Logger, toAndthenError } from '../../base/index.ts'
import type { Network, PeerStream, RateLimitedError } from '../../network/index.ts'
import {
  type EndReason,
  type ParkingLot,
  type Session,
  type SessionHooks,
  SessionTable,
  type SessionTableInit
} from '../../session/index.ts'
import {
  INFERENCE_PROTOCOL,
  KEY_BYTES,
  type MessageHandler,
  MessageWriter,
  type Open,
  type OwnerMessage,
  PUSH_PROTOCOL,
  type Resume,
  type Route,
  serverFrames,
  type ServerMessage,
  toHex
} from '../../wire/index.ts'
import { RequestError } from '../errors.ts'
import { BacklogNotices } from './backlog-notices.ts'
import { DelegatedRoute } from './route/delegated-route.ts'
import { DialPolicy } from './dial-policy.ts'
import { countIgnored, type ServerComponents } from './facts.ts'
import { HostedSession } from './hosted-session.ts'
import { checkOpen } from './open-check.ts'
import { OwnerConnection } from './owner-connection.ts'
import { PushReceiver } from './push/push-receiver.ts'
import { PushSender } from './push/push-sender.ts'
import { verifyPolicyName } from './route/route-check.ts'
import { checkRouteMemory, routeMemory } from './route/route-memory.ts'
import { sessionRows } from './session-rows.ts'

/** A stream on which nothing was asked for is not kept, ms. */
const FIRST_MESSAGE_MS = 10_000
/** An id is made in no time, so that a stranger could have any number of them. */
const CLIENTS_REMEMBERED = 65_536
const DELEGATE_BYTES = 1024 ** 3
const DELEGATE_MEMORY_BYTES = 1024 ** 3
/** When a client over its limit of sessions may ask again: one of its own has to end first. */
const OVER_LIMIT_RETRY_MS = 1_000

export interface InferenceServerComponents extends ServerComponents {
  readonly network: Network
  /** @default none */
  readonly hooks?: SessionHooks | undefined
  /** Where sessions wait whose row another one needs. @default none */
  readonly parking?: ParkingLot | undefined
}

export interface InferenceServerInit extends Omit<SessionTableInit, 'slots'> {
  /** Bytes of KV cache that a token of one session takes. */
  kvBytesPerToken: number
  /** Bytes of hidden states that this node sends on for one session whose route was left to it. @default 1 GiB */
  delegateBytes?: number
  /** Bytes of memory for the hidden states of all such routes; 0: it takes on none. @default 1 GiB */
  delegateMemoryBytes?: number
  /** Sessions that one client may have at a time. @default as many as there may be */
  maxSessionsPerOwner?: number
  /** Every client that can connect is one of ours, so that what it says of its priority counts. @default false */
  trustPriorities?: boolean
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
  readonly delegateBytes: number
  readonly delegateMemoryBytes: number
  readonly #components: InferenceServerComponents
  readonly #logger: Logger
  readonly #kvBytesPerToken: number
  readonly #trustPriorities: boolean
  readonly #maxSessionsPerOwner: number
  readonly #policy: DialPolicy
  readonly #sender: PushSender
  readonly #receiver: PushReceiver
  readonly #backlog: BacklogNotices
  readonly #hosted = new Map<Session, HostedSession>()

  constructor(components: InferenceServerComponents, init: InferenceServerInit) {
    const { network, clock, logger, facts, runner } = components
    const {
      kvBytesPerToken,
      delegateBytes = DELEGATE_BYTES,
      delegateMemoryBytes = DELEGATE_MEMORY_BYTES,
      trustPriorities = false,
      maxSessionsPerOwner = Number.POSITIVE_INFINITY,
      ...tableInit
    } = init
    this.#components = components
    this.#logger = logger
    this.#kvBytesPerToken = kvBytesPerToken
    this.delegateBytes = delegateBytes
    this.delegateMemoryBytes = delegateMemoryBytes
    this.#trustPriorities = trustPriorities
    this.#maxSessionsPerOwner = maxSessionsPerOwner
    this.#policy = new DialPolicy({
      clock,
      ownAddresses: () => network.addresses(),
      isConnected: peerId => network.isConnected(peerId)
    })
    this.#sender = new PushSender(
      { network, policy: this.#policy, clock, logger },
      { modelDigest: facts.modelDigest, boundary: facts.to }
    )
    this.#receiver = new PushReceiver(components)
    this.#backlog = new BacklogNotices(clock, () => this.#tellBacklog())
    this.table = new SessionTable(
      {
        ...components,
        rows: sessionRows(runner, kvBytesPerToken),
        random: randomBytes,
        events: {
          onPromoted: session => void this.#granted(session),
          onTerminated: (session, reason) => this.#terminated(session, reason)
        }
      },
      { ...tableInit, slots: runner.slots }
    )
  }

  /** Begins to answer. */
  async start(): Promise<void> {
    const { network } = this.#components
    await network.handle(INFERENCE_PROTOCOL, stream => this.#accept(stream), { onOverLimit: sayOverLimit })
    await network.handle(PUSH_PROTOCOL, stream => this.#receiver.accept(stream))
  }

  /** Refuses new sessions and lets running ones go on, then ends them. */
  async drain(options: { timeoutMs: number }): Promise<void> {
    await this.table.drain(options)
  }

  async close(): Promise<void> {
    this.#backlog.stop()
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
      { stream, handler, clock, logger },
      {
        maxTensorBytes: limits.creditBytes,
        onClose: () => {
          giveUp()
          if (hosted?.connection === connection) hosted.connection = null
          if (hosted !== null) this.table.connectionLost(hosted.session, streamNumber)
        },
        onSlow: () => {
          hosted?.endFor(new RequestError('SLOW_READER', 'answers wait unread: read faster, or ask for less at once'))
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
        void this.#finish(hosted)
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
    const { ledger, facts } = this.#components
    checkOpen(open, facts, this.delegateBytes)
    this.#checkShare(connection.owner, toHex(open.id))
    const maxLength = open.maxLength === 0 ? facts.maxLength : open.maxLength
    if (open.route !== null) this.#checkRouteMemory(open, open.route, maxLength, connection.owner)
    const session = this.table.open({
      owner: connection.owner,
      id: toHex(open.id),
      maxLength,
      bytes: maxLength * this.#kvBytesPerToken,
      // A stranger may give way to others; that others give way to it is not its own to say.
      priority: this.#trustPriorities ? open.priority : Math.min(0, open.priority),
      replace: open.replace
    })
    const hosted = new HostedSession(
      { ...this.#components, table: this.table, sender: this.#sender },
      {
        session,
        open,
        pushKey: randomBytes(KEY_BYTES),
        connection,
        onUpstream: () => this.#receiver.attachments.onUpstream(hosted)
      }
    )
    this.#hosted.set(session, hosted)
    if (ledger.clients.size < CLIENTS_REMEMBERED) ledger.clients.add(connection.owner)
    if (session.state === 'queued') {
      this.#tellPlace(hosted)
      this.#backlog.begin()
    } else void session.started.then(() => this.#granted(session))
    return hosted
  }

  /** One client may not have more than its share; a session that takes the place of another is none more. */
  #checkShare(owner: string, id: string): void {
    const others = [...this.table.sessions].filter(session => session.owner === owner && session.id !== id)
    if (others.length < this.#maxSessionsPerOwner) return
    this.#components.ledger.sessionsOverLimit++
    throw new RequestError(
      'RATE_LIMITED',
      `this client has ${others.length} sessions open, as many as one may: end one`,
      {
        retryable: true,
        details: { what: 'sessions', retryAfterMs: OVER_LIMIT_RETRY_MS }
      }
    )
  }

  /** Of all routes that live or are queued; a session that takes the place of another has that one's memory, too. */
  #checkRouteMemory(open: Open, route: Route, maxLength: number, owner: string): void {
    const id = toHex(open.id)
    const others = [...this.#hosted.values()].filter(({ session }) => session.owner !== owner || session.id !== id)
    const { facts, limits } = this.#components
    const need = (of: Route | null, length: number): number => routeMemory(of, length, { facts, limits })
    const taken = others.reduce((sum, { open: other, session }) => sum + need(other.route, session.maxLength), 0)
    checkRouteMemory({ need: need(route, maxLength), taken, most: this.delegateMemoryBytes })
  }

  #tellPlace({ session, connection }: HostedSession): void {
    connection?.send({ kind: 'queued', value: { place: this.table.place(session) + 1 } })
  }

  #tellBacklog(): boolean {
    const waiting = [...this.#hosted.values()].filter(({ session }) => session.state === 'queued')
    for (const hosted of waiting) this.#tellPlace(hosted)
    return waiting.length > 0
  }

  /** The session has its row: opens the rest of its route, where it has one, and says so. */
  async #granted(session: Session): Promise<void> {
    const hosted = this.#hosted.get(session)
    if (hosted === undefined || session.incarnation === undefined || session.signal.aborted) return
    const { ledger, limits } = this.#components
    this.#receiver.attachments.add(hosted)
    ledger.sessions++
    this.#logger.info({ session: session.id, owner: session.owner, slot: session.row?.slot }, 'session opened')
    const { route } = hosted.open
    try {
      if (route !== null) await this.#openRoute(hosted, route)
    } catch (thrown) {
      return hosted.endFor(toAndthenError(thrown))
    }
    const { incarnation } = session
    const { pushKey, credit } = hosted
    const { maxTentative } = limits
    hosted.connection?.send({
      kind: 'opened',
      value: { incarnation, pushKey, credit, maxTentative, lengths: hosted.race.lengths }
    })
  }

  async #openRoute(hosted: HostedSession, route: Route): Promise<void> {
    const { session, open } = hosted
    const { owner, maxLength, signal } = session
    const init = { route, owner, maxLength, verify: verifyPolicyName(open) }
    const opened = await DelegatedRoute.open({ ...this.#components, policy: this.#policy }, init, signal)
    opened.onFailed = error => hosted.endFor(error)
    if (signal.aborted) opened.end()
    else hosted.route = opened
  }

  /** The owner has said goodbye. The last counts of its route are for it to know. */
  async #finish({ session, route }: HostedSession): Promise<void> {
    await route?.close()
    await this.table.end(session, 'END')
  }

  #resume(resume: Resume, connection: OwnerConnection): HostedSession {
    const id = toHex(resume.id)
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
    this.#receiver.attachments.remove(hosted)
    const { ledger } = this.#components
    for (const kind of ['used', 'late', 'ignored', 'mismatched'] as const)
      ledger.pushes[kind] += hosted.race.pushes[kind]
    for (const [why, count] of Object.entries(hosted.race.ignored)) countIgnored(ledger, why, count)
    this.#logger.info({ session: session.id, owner: session.owner, reason, ...hosted.race.lengths }, 'session ended')
    hosted.end(reason, false)
  }
}

/** Tells an owner why its stream ends. */
function sayOverLimit(stream: PeerStream, { code, message, retryable, details }: RateLimitedError): void {
  const writer = new MessageWriter<ServerMessage>({ codec: serverFrames, sink: stream })
  writer.send({ kind: 'error', value: { code, message, retryable, retryAfterMs: Number(details['retryAfterMs']) } })
}
