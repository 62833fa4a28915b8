import { type AndthenError, toAndthenError } from '../../base/index.ts'
import type { Session, SessionTable } from '../../session/index.ts'
import {
  type Credit,
  isSignedBy,
  type Mismatch,
  type Open,
  type Push,
  type Resume,
  type Rewind,
  type Step,
  VerifyPolicy,
  Want
} from '../../wire/index.ts'
import { BufferPool, newBuffer, type StatesBuffer } from '../buffers.ts'
import { RequestError } from '../errors.ts'
import { Race } from '../race/race.ts'
import type { Effect, PushArrival } from '../race/race-types.ts'
import type { StepRecord } from '../race/step-record.ts'
import { type Answer, answerStep, delegatedAnswer, type Standing } from './answers.ts'
import type { DelegatedRoute } from './route/delegated-route.ts'
import type { ServerComponents } from './facts.ts'
import { NextServer } from './push/next-server.ts'
import type { OwnerConnection } from './owner-connection.ts'
import type { PushSender } from './push/push-sender.ts'
import { RaceTimer } from './race-timer.ts'
import { StepInbox } from './step-inbox.ts'
import type { StepNotes } from './step-notes.ts'

type Record = StepRecord<StatesBuffer>

export interface HostedSessionComponents extends ServerComponents {
  readonly table: SessionTable
  readonly sender: PushSender
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
  /** As its owner asked for it. */
  readonly open: Open
  readonly pushKey: Uint8Array
  readonly race: Race<StatesBuffer>
  /** Peer id that may push here; empty: none. */
  upstream: string
  /** The stream that speaks for the owner; none while the owner is away. */
  connection: OwnerConnection | null
  /** The servers after this one, where the owner left them to this node. */
  route: DelegatedRoute | null = null
  readonly #components: HostedSessionComponents
  readonly #onUpstream: () => void
  readonly #pool = new BufferPool()
  readonly #inbox: StepInbox
  readonly #next: NextServer
  readonly #timer: RaceTimer
  readonly #answers = new WeakMap<Record, Answer>()
  /** Why the epoch ended here, to be said again to an owner who comes back. */
  #mismatch: Mismatch | null = null
  /** Stops the run in flight; serves one after the other until it had to. */
  #run = new AbortController()

  constructor(components: HostedSessionComponents, init: HostedSessionInit) {
    const { limits, facts, clock } = components
    this.#components = components
    this.#onUpstream = init.onUpstream
    this.session = init.session
    this.open = init.open
    this.pushKey = init.pushKey
    this.connection = init.connection
    this.upstream = init.open.upstream
    this.race = new Race({
      maxLength: Math.min(init.session.maxLength, facts.maxLength),
      maxTentative: limits.maxTentative,
      maxOutstanding: limits.creditSteps,
      maxHeldBytes: limits.creditBytes,
      trustPushes: init.open.verify === VerifyPolicy.none
    })
    this.#inbox = new StepInbox(this.#pool, { maxBytes: limits.creditBytes })
    this.#next = new NextServer(components.sender, init.session.owner)
    this.#timer = new RaceTimer(clock, () => this.#apply(this.race.onTimer(clock.now())))
  }

  /** Peer id of the server that outputs are pushed to. */
  get next(): string | null {
    return this.#next.peerId
  }

  get credit(): Credit {
    const { creditSteps, creditBytes } = this.#components.limits
    return { steps: creditSteps, bytes: creditBytes }
  }

  /** The owner's Step; returns where its `bytes` of tensor go, or null to read past them. */
  onStep(step: Step, bytes: number): Uint8Array | null {
    if (step.next !== null || step.nextNone) this.#next.name(step.next)
    const problem = this.#problemWith(step, bytes)
    if (problem !== null) {
      this.#refuse(problem, step)
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
    const upstream = rewind.upstreamNone ? '' : rewind.upstream === '' ? this.upstream : rewind.upstream
    const effects = this.race.onRewind(rewind.epoch, rewind.length, upstream !== this.upstream)
    if (effects === null) {
      const told = `epoch ${rewind.epoch} is not above ${this.race.epoch}, which was begun before`
      this.#refuse(new RequestError('EPOCH', told), { epoch: rewind.epoch, step: 0 })
      return
    }
    this.#apply(effects)
    if (rewind.upstreamNone || rewind.upstream !== '') {
      this.upstream = upstream
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
      if (this.session.signal.aborted || isSignedBy(upstream, push.receipt, this.#components.verify)) return
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
    this.connection?.abandon()
    this.connection = connection
    this.#inbox.forget()
    const { epoch, lengths, nextStep } = this.race
    connection.send({ kind: 'resumed', value: { epoch, lengths, nextStep, credit: this.credit } })
    if (resume.epoch !== epoch) return
    for (const record of this.race.answeredFrom(resume.outputs)) this.#send(record)
    if (this.#mismatch?.epoch === epoch) connection.send({ kind: 'mismatch', value: this.#mismatch })
    this.#apply(this.race.onOwnerBack(this.#components.clock.now()))
  }

  /** The session is over: stops its work, tells both neighbours. */
  end(reason: string, resumable: boolean): void {
    const { lengths, pushes } = this.#counts
    this.#apply(this.race.onClose())
    this.#timer.stop()
    this.connection?.send({ kind: 'terminated', value: { reason, resumable, lengths, pushes } })
    this.connection?.close()
    this.connection = null
    this.#next.end(reason)
    this.route?.end()
  }

  /** Tells the owner why, and ends the session. */
  endFor(error: AndthenError): void {
    if (this.session.signal.aborted) return
    this.connection?.sendError(error, { lengths: this.race.lengths })
    void this.#components.table.end(this.session, 'ERROR')
  }

  #problemWith(step: Step, bytes: number): RequestError | null {
    const { facts, limits } = this.#components
    if (bytes > 0 && bytes !== step.n * facts.hiddenSize * 4)
      return new RequestError('BAD_STEP', `${bytes} bytes for ${step.n} tokens of ${facts.hiddenSize} float32 each`)
    if (!this.#inbox.fits(bytes))
      return new RequestError('FLOW', `more than ${limits.creditBytes} bytes of tensors under way at once`)
    if (step.want === Want.last && this.#next.peerId !== null)
      return new RequestError('BAD_STEP', 'only the last row is wanted, but the next server needs all')
    if (this.route !== null && (step.want === Want.tensor || step.replay || step.next !== null))
      return new RequestError('BAD_STEP', 'a delegated route takes plain steps, and answers with the last row or none')
    return null
  }

  async #sendRewound(epoch: number): Promise<void> {
    try {
      await this.route?.rewind(this.race.lengths.length)
    } catch (thrown) {
      return this.endFor(toAndthenError(thrown))
    }
    const attached = await this.#next.attached()
    this.connection?.send({ kind: 'rewound', value: { epoch, lengths: this.race.lengths, ...attached } })
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
        this.#run.abort()
        return
      case 'truncate':
        this.#truncate(effect.length)
        return
      case 'answer':
      case 'repeat':
        this.#send(effect.record)
        return
      case 'need-copy':
        this.connection?.send({ kind: 'needCopy', value: { epoch: effect.epoch, step: effect.step } })
        return
      case 'mismatch':
        this.#sendMismatch(effect)
        return
      case 'refuse':
        this.#refuse(new RequestError(effect.code, effect.message), effect.header)
        return
      case 'drop':
        this.#inbox.release(effect.input)
    }
  }

  #truncate(length: number): void {
    const { row } = this.session
    const { runner } = this.#components
    // A parked session's row is cut when it is back, before its next run.
    if (row !== undefined && runner.length(row.slot) > length) runner.rewind(row.slot, length)
  }

  async #compute(record: Record): Promise<void> {
    if (this.#run.signal.aborted) this.#run = new AbortController()
    const { signal } = this.#run
    let failure: unknown
    let notes: StepNotes | null = null
    try {
      notes = await this.#runSpan(record, signal)
    } catch (thrown) {
      failure = thrown
    }
    const effects = this.race.onRunEnded(notes !== null)
    if (notes !== null && effects.some(effect => effect.kind === 'answer')) this.#answer(record, notes)
    this.#apply(effects)
    if (failure !== undefined && !signal.aborted && !this.session.signal.aborted) this.#fail(failure, record)
  }

  async #runSpan(record: Record, signal: AbortSignal): Promise<StepNotes> {
    const { table, lane, runner, ledger } = this.#components
    await table.runStarted(this.session)
    try {
      const { row } = this.session
      const { input, position, n } = record
      if (row === undefined || input === null) throw new RequestError('RUN_FAILED', 'the session lost its row')
      if (runner.length(row.slot) > position) runner.rewind(row.slot, position)
      const output = newBuffer(input.bytes.length)
      const work = { slot: row.slot, tokens: n, position, input: input.states, output: output.states }
      const timings = await lane.submit(work, { signal })
      ledger.tokens += n
      return { output, timings }
    } finally {
      table.runEnded(this.session)
    }
  }

  #fail(failure: unknown, record: Record): void {
    const { message } = toAndthenError(failure)
    this.#components.logger.error({ session: this.session.id, step: record.step, error: message }, 'a run failed')
    this.#refuse(
      new RequestError('RUN_FAILED', `the span could not be computed: ${message}`, { retryable: true }),
      record
    )
    void this.#components.table.end(this.session, 'ERROR')
  }

  #answer(record: Record, notes: StepNotes): void {
    const { session } = this
    const step = { session, next: this.#next, notes }
    if (this.route === null || record.replay)
      this.#answers.set(record, answerStep(this.#components, { ...step, record }, this.#standing(record)))
    else void this.#goOn(this.route, record, notes)
  }

  /** The owner left the rest of the route to this node: the answer is that of the last server. */
  async #goOn(route: DelegatedRoute, record: Record, notes: StepNotes): Promise<void> {
    const { session } = this
    const whole = { ...record, want: Want.tensor }
    const step = { session, next: this.#next, record: whole, notes }
    const own = answerStep(this.#components, step, this.#standing(record))
    const want = record.want === Want.none ? 'none' : 'last'
    try {
      const result = await route.run({ position: record.position, n: record.n, want }, notes.output.bytes)
      const { clock, ledger } = this.#components
      ledger.bytesOut += notes.output.bytes.length
      this.#answers.set(record, delegatedAnswer(own, result, this.#standing(record), clock.now()))
      this.#send(record)
    } catch (thrown) {
      if (record.epoch === this.race.epoch) this.endFor(toAndthenError(thrown))
    }
  }

  #standing(record: Record): Standing {
    return { ...this.#counts, stale: () => record.epoch < this.race.epoch }
  }

  /** What the session stands at; with a route, all its servers together. */
  get #counts(): Pick<Standing, 'lengths' | 'pushes'> {
    const { lengths, pushes } = this.race
    if (this.route === null) return { lengths, pushes }
    return {
      lengths: { ...lengths, committed: Math.min(lengths.committed, this.route.committed) },
      pushes: this.route.pushes
    }
  }

  #send(record: Record): void {
    const answer = this.#answers.get(record)
    if (answer === undefined) return
    const message = { kind: 'output' as const, value: answer.output }
    if (answer.tensor === null) {
      this.connection?.send(message)
      return
    }
    this.#components.ledger.bytesOut += answer.tensor.length
    this.connection?.sendTensor(message, answer.tensor, { stale: () => record.epoch < this.race.epoch })
  }

  #sendMismatch(effect: Extract<Effect<StatesBuffer>, { kind: 'mismatch' }>): void {
    const { ledger, logger, verify } = this.#components
    ledger.mismatches++
    const { epoch, step, pushed, owner } = effect
    const receipt = effect.receipt !== null && isSignedBy(this.upstream, effect.receipt, verify) ? effect.receipt : null
    const told = { session: this.session.id, upstream: this.upstream, epoch, step }
    logger.warn(told, 'what was pushed is not what the client got')
    const { committed } = this.race.lengths
    const digests = { pushedDigest: pushed, ownerDigest: owner }
    this.#mismatch = { epoch, step, committed, ...digests, upstreamReceipt: receipt }
    this.connection?.send({ kind: 'mismatch', value: this.#mismatch })
  }

  #refuse(error: RequestError, { epoch, step }: { epoch: number; step: number }): void {
    this.connection?.sendError(error, { epoch, step, lengths: this.race.lengths })
  }
}
