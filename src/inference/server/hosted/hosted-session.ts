import { type AndthenError, toAndthenError } from '../../../base/index.ts'
import type { Asker } from '../../../network/index.ts'
import type { Session, SessionTable } from '../../../session/index.ts'
import {
  equalBytes,
  type Open,
  type Push,
  type Resume,
  type Rewind,
  type Step,
  VerifyPolicy
} from '../../../wire/index.ts'
import { BufferPool, type StatesBuffer } from '../../buffers.ts'
import { RequestError } from '../../errors.ts'
import type { Effect, PushArrival } from '../../race/race-types.ts'
import { Race } from '../../race/race.ts'
import type { StepRecord } from '../../race/step-record.ts'
import type { ServerComponents } from '../facts.ts'
import type { OwnerConnection } from '../owner-connection.ts'
import type { Forgers } from '../push/forgers.ts'
import { NextServer } from '../push/next-server.ts'
import type { PushSender } from '../push/push-sender.ts'
import type { DelegatedRoute } from '../route/delegated-route.ts'
import { OwnerReplies } from './owner-replies.ts'
import { RaceTimer } from './race-timer.ts'
import { StepAnswers } from './step-answers.ts'
import { StepCheck } from './step-check.ts'
import { StepInbox } from './step-inbox.ts'
import type { StepNotes } from './step-notes.ts'
import { StepRuns } from './step-runs.ts'

type Record = StepRecord<StatesBuffer>

export interface HostedSessionComponents extends ServerComponents {
  readonly table: SessionTable
  readonly sender: PushSender
  readonly forgers: Forgers
}

export interface HostedSessionInit {
  readonly session: Session
  readonly open: Open
  /** 16 random bytes; whoever may push into this session names it. */
  readonly pushKey: Uint8Array
  readonly connection: OwnerConnection
  /** The owner named another upstream: whoever asked to attach too early may be answered now. */
  readonly onUpstream: () => void
}

/** The server end of one session: carries out what the race decides. */
export class HostedSession {
  readonly session: Session
  /** Who opened it, and from where: dials and attaches that it causes are held against both. */
  readonly owner: Asker
  /** As its owner asked for it. */
  readonly open: Open
  readonly pushKey: Uint8Array
  readonly race: Race<StatesBuffer>
  /** Peer id that may push here; empty: none. */
  upstream: string
  /** Of its session there, as the owner named it; empty: not named. */
  upstreamIncarnation: Uint8Array = new Uint8Array()
  readonly replies: OwnerReplies
  readonly #components: HostedSessionComponents
  readonly #onUpstream: () => void
  readonly #pool = new BufferPool()
  readonly #inbox: StepInbox
  readonly #check: StepCheck
  readonly #next: NextServer
  readonly #timer: RaceTimer
  readonly #runs: StepRuns
  readonly #answers: StepAnswers

  constructor(components: HostedSessionComponents, init: HostedSessionInit) {
    const { limits, facts, clock } = components
    this.#components = components
    this.#onUpstream = init.onUpstream
    this.session = init.session
    this.owner = init.connection.asker
    this.open = init.open
    this.pushKey = init.pushKey
    this.upstream = init.open.upstream
    this.race = new Race({
      maxLength: Math.min(init.session.maxLength, facts.maxLength),
      maxTentative: limits.maxTentative,
      maxOutstanding: limits.creditSteps,
      maxHeldBytes: limits.creditBytes,
      trustPushes: init.open.verify === VerifyPolicy.none
    })
    const { race, session } = this
    this.#inbox = new StepInbox(this.#pool, { maxBytes: limits.creditBytes })
    this.#next = new NextServer(components.sender, this.owner)
    this.#runs = new StepRuns(components, session)
    this.#answers = new StepAnswers(components, { session, race, next: this.#next })
    this.#check = new StepCheck({ ...components, inbox: this.#inbox, next: this.#next, answers: this.#answers })
    this.replies = new OwnerReplies({ ...components, race }, init.connection)
    this.#timer = new RaceTimer(clock, () => this.#apply(this.race.onTimer(clock.now())))
  }

  /** Peer id of the server that outputs are pushed to. */
  get next(): string | null {
    return this.#next.peerId
  }

  /** The servers after this one, where the owner left them to this node. */
  get route(): DelegatedRoute | null {
    return this.#answers.route
  }

  set route(route: DelegatedRoute) {
    this.#answers.route = route
  }

  /** The owner's Step; returns where its `bytes` of tensor go, or null to read past them. */
  onStep(step: Step, bytes: number): Uint8Array | null {
    if (step.next !== null || step.nextNone) this.#next.name(step.next)
    const problem = this.#check.problemWith(step, bytes)
    if (problem !== null) {
      this.replies.refuse(problem, step)
      return null
    }
    this.#apply(this.race.onStep(step, bytes > 0, this.#components.clock.now()))
    return bytes === 0 ? null : this.#inbox.begin(bytes)
  }

  /** The owner's bytes of a step are whole. */
  onCopy(step: Step, tensor: Uint8Array): void {
    const input = this.#inbox.finish(tensor)
    if (input === undefined) return
    const { facts, digest: digestOf, clock } = this.#components
    const digest = digestOf({ boundary: facts.from, position: step.position, n: step.n }, tensor)
    this.#apply(this.race.onCopy(step, { digest, input, bytes: tensor.length }, clock.now()))
  }

  onVerify(epoch: number, step: number, digest: Uint8Array): void {
    this.#apply(this.race.onVerify(epoch, step, digest, this.#components.clock.now()))
  }

  onRewind(rewind: Rewind): void {
    const names = rewind.upstreamNone || rewind.upstream !== ''
    const upstream = rewind.upstreamNone ? '' : rewind.upstream || this.upstream
    const incarnation = names ? rewind.upstreamIncarnation : this.upstreamIncarnation
    // What is held was let in as of the session that was named before: as of another, its receipt proves nothing.
    const isAnother = upstream !== this.upstream || !equalBytes(incarnation, this.upstreamIncarnation)
    const effects = this.race.onRewind(rewind.epoch, rewind.length, isAnother)
    if (effects === null) {
      const told = `epoch ${rewind.epoch} is not above ${this.race.epoch}, which was begun before`
      this.replies.refuse(new RequestError('EPOCH', told), { epoch: rewind.epoch, step: 0 })
      return
    }
    this.#apply(effects)
    if (names) {
      this.upstream = upstream
      this.upstreamIncarnation = incarnation
      this.#onUpstream()
    }
    if (rewind.next !== null || rewind.nextNone) this.#next.name(rewind.next)
    void this.#sendRewound(rewind.epoch)
  }

  /**
   * A push that `checkPush` found to be what it says. Whether its receipt is signed matters when the owner says that the
   * bytes are others, and is looked at then; and once an epoch, so that an upstream that cannot sign is found out at once.
   */
  onPush(push: Push, arrival: PushArrival<StatesBuffer>): void {
    const { upstream } = this
    this.#apply(this.race.onPush(arrival, this.#components.clock.now()))
    if (push.step > 0) return
    // Off the critical path: by now the span computes, in another thread.
    setImmediate(() => {
      if (this.session.signal.aborted || this.#components.forgers.isSigned(upstream, push.receipt)) return
      this.#apply(this.race.onForgedReceipt(push.receipt))
    })
  }

  onUpstreamGone(): void {
    this.#apply(this.race.onUpstreamGone(this.#components.clock.now()))
  }

  takeBuffer(bytes: number): StatesBuffer {
    return this.#pool.take(bytes)
  }

  dropBuffer(buffer: StatesBuffer): void {
    this.#pool.giveBack(buffer)
  }

  /** Another stream of the owner speaks from now on; answers that it lacks are sent again. */
  onResume(connection: OwnerConnection, resume: Resume): void {
    this.replies.resumed(connection)
    this.#inbox.forget()
    const { epoch } = this.race
    if (resume.epoch !== epoch) return
    for (const record of this.race.answeredFrom(resume.outputs)) this.#send(record)
    this.replies.mismatchAgain(epoch)
    this.#apply(this.race.onOwnerBack(this.#components.clock.now()))
  }

  /** The session is over: stops its work, tells both neighbours. */
  end(reason: string): void {
    const { counts } = this.#answers
    this.#apply(this.race.onClose())
    this.#timer.stop()
    this.replies.terminated(reason, counts)
    this.#next.end(reason)
    this.route?.end()
  }

  /** Tells the owner why, and ends the session. */
  endFor(error: AndthenError): void {
    if (this.session.signal.aborted) return
    this.replies.failed(error)
    void this.#components.table.end(this.session, 'ERROR')
  }

  async #sendRewound(epoch: number): Promise<void> {
    try {
      await this.route?.rewind(this.race.lengths.length)
    } catch (thrown) {
      return this.endFor(toAndthenError(thrown))
    }
    this.replies.rewound(epoch, await this.#next.attached())
  }

  #apply(effects: readonly Effect<StatesBuffer>[]): void {
    for (const effect of effects) this.#carryOut(effect)
    this.#timer.set(this.race.deadline)
  }

  #carryOut(effect: Effect<StatesBuffer>): void {
    switch (effect.kind) {
      case 'run':
        void this.#compute(effect.record)
        return
      case 'terminate':
        this.#runs.stop()
        return
      case 'truncate':
        this.#runs.truncate(effect.length)
        return
      case 'answer':
      case 'repeat':
        this.#send(effect.record)
        return
      case 'need-copy':
        this.replies.needCopy(effect.epoch, effect.step)
        return
      case 'mismatch':
        this.#tellMismatch(effect)
        return
      case 'refuse':
        this.replies.refuse(new RequestError(effect.code, effect.message), effect.header)
        return
      case 'drop':
        this.#inbox.release(effect.input)
    }
  }

  async #compute(record: Record): Promise<void> {
    let failure: unknown
    let notes: StepNotes | null = null
    try {
      notes = await this.#runs.run(record)
    } catch (thrown) {
      failure = thrown
    }
    const effects = this.race.onRunEnded(notes !== null)
    if (notes !== null && effects.some(effect => effect.kind === 'answer')) this.#answer(record, notes)
    this.#apply(effects)
    if (failure !== undefined) this.#fail(failure, record)
  }

  #fail(failure: unknown, record: Record): void {
    const { message } = toAndthenError(failure)
    this.#components.logger.error({ session: this.session.id, step: record.step, error: message }, 'a run failed')
    this.replies.refuse(
      new RequestError('RUN_FAILED', `the span could not be computed: ${message}`, { retryable: true }),
      record
    )
    void this.#components.table.end(this.session, 'ERROR')
  }

  #answer(record: Record, notes: StepNotes): void {
    if (this.route === null || record.replay) this.#answers.make(record, notes)
    else void this.#answerThrough(this.route, record, notes)
  }

  async #answerThrough(route: DelegatedRoute, record: Record, notes: StepNotes): Promise<void> {
    try {
      await this.#answers.makeThrough(route, record, notes)
      this.#send(record)
    } catch (thrown) {
      if (record.epoch === this.race.epoch) this.endFor(toAndthenError(thrown))
    }
  }

  #send(record: Record): void {
    const answer = this.#answers.of(record)
    if (answer !== undefined) this.replies.output(answer)
  }

  #tellMismatch({ epoch, step, pushed, owner, receipt }: Extract<Effect<StatesBuffer>, { kind: 'mismatch' }>): void {
    const { ledger, logger, forgers } = this.#components
    ledger.mismatches++
    const told = { session: this.session.id, upstream: this.upstream, epoch, step }
    logger.warn(told, 'what was pushed is not what the client got')
    const { committed } = this.race.lengths
    const upstreamReceipt = receipt !== null && forgers.isSigned(this.upstream, receipt) ? receipt : null
    this.replies.mismatch({ epoch, step, committed, pushedDigest: pushed, ownerDigest: owner, upstreamReceipt })
  }
}
