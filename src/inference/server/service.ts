import { randomBytes } from 'node:crypto'
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
  MessageWriter,
  PUSH_PROTOCOL,
  type Resume,
  serverFrames,
  type ServerMessage,
  toHex
} from '../../wire/index.ts'
import { RequestError } from '../errors.ts'
import { Admission } from './admission.ts'
import { DialPolicy } from './dial-policy.ts'
import { countIgnored, type ServerComponents } from './facts.ts'
import type { HostedSession } from './hosted/hosted-session.ts'
import type { OwnerConnection } from './owner-connection.ts'
import { type OwnerStreamComponents, serveOwner } from './owner-stream.ts'
import { PushReceiver } from './push/push-receiver.ts'
import { PushSender } from './push/push-sender.ts'
import { sessionRows } from './session-rows.ts'

const DELEGATE_BYTES = 1024 ** 3
const DELEGATE_MEMORY_BYTES = 1024 ** 3

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
  readonly #sender: PushSender
  readonly #receiver: PushReceiver
  readonly #admission: Admission
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
    this.delegateBytes = delegateBytes
    this.delegateMemoryBytes = delegateMemoryBytes
    const policy = new DialPolicy({
      clock,
      ownAddresses: () => network.addresses(),
      isConnected: peerId => network.isConnected(peerId),
      hasAnswered: address => network.hasAnswered(address)
    })
    const sender = new PushSender(
      { network, policy, clock, logger },
      { modelDigest: facts.modelDigest, boundary: facts.to }
    )
    this.#sender = sender
    this.#receiver = new PushReceiver(components)
    this.table = new SessionTable(
      {
        ...components,
        rows: sessionRows(runner, kvBytesPerToken),
        random: randomBytes,
        events: {
          onPromoted: session => void this.#admission.granted(session),
          onTerminated: (session, reason) => this.#terminated(session, reason)
        }
      },
      { ...tableInit, slots: runner.slots }
    )
    const { attachments, forgers } = this.#receiver
    this.#admission = new Admission(
      { ...components, policy, table: this.table, hosted: this.#hosted, sender, attachments, forgers },
      { kvBytesPerToken, delegateBytes, delegateMemoryBytes, trustPriorities, maxSessionsPerOwner }
    )
  }

  /** Begins to answer. */
  async start(): Promise<void> {
    const { network } = this.#components
    const owners: OwnerStreamComponents = {
      ...this.#components,
      table: this.table,
      open: (open, connection) => this.#admission.open(open, connection),
      resume: (resume, connection) => this.#resume(resume, connection)
    }
    await network.handle(INFERENCE_PROTOCOL, stream => serveOwner(owners, stream), { onOverLimit: sayOverLimit })
    await network.handle(PUSH_PROTOCOL, stream => this.#receiver.accept(stream))
  }

  /** Refuses new sessions and lets running ones go on, then ends them. */
  async drain(options: { timeoutMs: number }): Promise<void> {
    await this.table.drain(options)
  }

  async close(): Promise<void> {
    this.#admission.stop()
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

  #resume(resume: Resume, connection: OwnerConnection): HostedSession {
    const id = toHex(resume.id)
    const session = this.table.resume(connection.owner, id, resume.incarnation)
    const hosted = this.#hosted.get(session)
    if (hosted === undefined) throw new RequestError('GONE', `session ${id} is ending`)
    hosted.onResume(connection, resume)
    this.#components.logger.info({ session: id, owner: connection.owner }, 'session resumed')
    return hosted
  }

  #terminated(session: Session, reason: EndReason): void {
    const hosted = this.#hosted.get(session)
    this.#hosted.delete(session)
    if (hosted === undefined) return
    this.#receiver.attachments.remove(hosted)
    const { ledger, logger } = this.#components
    const { pushes, ignored, lengths } = hosted.race
    for (const kind of ['used', 'late', 'ignored', 'mismatched'] as const) ledger.pushes[kind] += pushes[kind]
    for (const [why, count] of Object.entries(ignored)) countIgnored(ledger, why, count)
    logger.info({ session: session.id, owner: session.owner, reason, ...lengths }, 'session ended')
    hosted.end(reason)
  }
}

/** Tells an owner why its stream ends. */
function sayOverLimit(stream: PeerStream, { code, message, retryable, details }: RateLimitedError): void {
  const writer = new MessageWriter<ServerMessage>({ codec: serverFrames, sink: stream })
  writer.send({ kind: 'error', value: { code, message, retryable, retryAfterMs: Number(details['retryAfterMs']) } })
}
