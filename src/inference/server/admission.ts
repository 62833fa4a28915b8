import { randomBytes } from 'node:crypto'
import { toAndthenError } from '../../base/index.ts'
import type { Network } from '../../network/index.ts'
import type { Session, SessionTable } from '../../session/index.ts'
import { KEY_BYTES, type Open, type Route, toHex } from '../../wire/index.ts'
import { RequestError } from '../errors.ts'
import { BacklogNotices } from './backlog-notices.ts'
import type { DialPolicy } from './dial-policy.ts'
import type { ServerComponents } from './facts.ts'
import { HostedSession } from './hosted/hosted-session.ts'
import { checkOpen } from './open-check.ts'
import type { OwnerConnection } from './owner-connection.ts'
import type { Attachments } from './push/attachments.ts'
import type { Forgers } from './push/forgers.ts'
import type { PushSender } from './push/push-sender.ts'
import { DelegatedRoute } from './route/delegated-route.ts'
import { verifyPolicyName } from './route/route-check.ts'
import { checkRouteMemory, routeMemory } from './route/route-memory.ts'

/** An id is made in no time, so that a stranger could have any number of them. */
const CLIENTS_REMEMBERED = 65_536
/** When a client over its limit of sessions may ask again: one of its own has to end first. */
const OVER_LIMIT_RETRY_MS = 1_000

export interface AdmissionComponents extends ServerComponents {
  readonly network: Network
  readonly policy: DialPolicy
  readonly table: SessionTable
  /** All sessions that are not over, by what the table knows of them. */
  readonly hosted: Map<Session, HostedSession>
  readonly sender: PushSender
  readonly attachments: Attachments
  readonly forgers: Forgers
}

export interface AdmissionInit {
  /** Bytes of KV cache that a token of one session takes. */
  readonly kvBytesPerToken: number
  /** Bytes of hidden states that this node sends on for one session whose route was left to it. */
  readonly delegateBytes: number
  /** Bytes of memory for the hidden states of all such routes; 0: it takes on none. */
  readonly delegateMemoryBytes: number
  /** Sessions that one client may have at a time. */
  readonly maxSessionsPerOwner: number
  /** What a client says of its priority counts. */
  readonly trustPriorities: boolean
}

/** Where a session begins: `Open` is checked, waits for a row or has one, and is answered once it has. */
export class Admission {
  readonly #components: AdmissionComponents
  readonly #init: AdmissionInit
  readonly #backlog: BacklogNotices

  constructor(components: AdmissionComponents, init: AdmissionInit) {
    this.#components = components
    this.#init = init
    this.#backlog = new BacklogNotices(components.clock, () => this.#tellBacklog())
  }

  /** @throws RequestError, or what the table refuses with */
  open(open: Open, connection: OwnerConnection): HostedSession {
    const { ledger, facts, table, hosted: all, attachments } = this.#components
    const { kvBytesPerToken, delegateBytes, trustPriorities } = this.#init
    checkOpen(open, facts, delegateBytes)
    const { owner } = connection
    this.#checkShare(owner, toHex(open.id))
    const maxLength = open.maxLength === 0 ? facts.maxLength : open.maxLength
    if (open.route !== null) this.#checkRouteMemory(open, open.route, maxLength, owner)
    const session = table.open({
      owner,
      id: toHex(open.id),
      maxLength,
      bytes: maxLength * kvBytesPerToken,
      // A stranger may give way to others; that others give way to it is not its own to say.
      priority: trustPriorities ? open.priority : Math.min(0, open.priority),
      replace: open.replace
    })
    const hosted = new HostedSession(this.#components, {
      session,
      open,
      pushKey: randomBytes(KEY_BYTES),
      connection,
      onUpstream: () => attachments.onUpstream(hosted)
    })
    all.set(session, hosted)
    if (ledger.clients.size < CLIENTS_REMEMBERED) ledger.clients.add(owner)
    if (session.state === 'queued') {
      this.#tellPlace(hosted)
      this.#backlog.begin()
    } else void session.started.then(() => this.granted(session))
    return hosted
  }

  /** The session has its row: opens the rest of its route, where it has one, and says so. */
  async granted(session: Session): Promise<void> {
    const { ledger, logger, hosted: all, attachments } = this.#components
    const hosted = all.get(session)
    if (hosted === undefined || session.incarnation === undefined || session.signal.aborted) return
    attachments.add(hosted)
    ledger.sessions++
    logger.info({ session: session.id, owner: session.owner, slot: session.row?.slot }, 'session opened')
    const { route } = hosted.open
    try {
      if (route !== null) await this.#openRoute(hosted, route)
    } catch (thrown) {
      return hosted.endFor(toAndthenError(thrown))
    }
    hosted.replies.opened({ incarnation: session.incarnation, pushKey: hosted.pushKey })
  }

  stop(): void {
    this.#backlog.stop()
  }

  /** One client may not have more than its share; a session that takes the place of another is none more. */
  #checkShare(owner: string, id: string): void {
    const { table, ledger } = this.#components
    const others = [...table.sessions].filter(session => session.owner === owner && session.id !== id)
    if (others.length < this.#init.maxSessionsPerOwner) return
    ledger.sessionsOverLimit++
    throw new RequestError(
      'RATE_LIMITED',
      `this client has ${others.length} sessions open, as many as one may: end one`,
      { retryable: true, details: { what: 'sessions', retryAfterMs: OVER_LIMIT_RETRY_MS } }
    )
  }

  /** Of all routes that live or are queued; a session that takes the place of another has that one's memory, too. */
  #checkRouteMemory(open: Open, route: Route, maxLength: number, owner: string): void {
    const id = toHex(open.id)
    const { facts, limits, hosted } = this.#components
    const others = [...hosted.values()].filter(({ session }) => session.owner !== owner || session.id !== id)
    const need = (of: Route | null, length: number): number => routeMemory(of, length, { facts, limits })
    const taken = others.reduce((sum, { open: other, session }) => sum + need(other.route, session.maxLength), 0)
    checkRouteMemory({ need: need(route, maxLength), taken, most: this.#init.delegateMemoryBytes })
  }

  #tellPlace({ session, replies }: HostedSession): void {
    replies.queued(this.#components.table.place(session) + 1)
  }

  #tellBacklog(): boolean {
    const waiting = [...this.#components.hosted.values()].filter(({ session }) => session.state === 'queued')
    for (const hosted of waiting) this.#tellPlace(hosted)
    return waiting.length > 0
  }

  async #openRoute(hosted: HostedSession, route: Route): Promise<void> {
    const { session, open, owner } = hosted
    const { maxLength, priority, signal } = session
    const init = { route, owner, maxLength, priority, verify: verifyPolicyName(open) }
    const opened = await DelegatedRoute.open(this.#components, init, signal)
    opened.onFailed = error => hosted.endFor(error)
    if (signal.aborted) opened.end()
    else hosted.route = opened
  }
}
