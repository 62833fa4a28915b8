import { toAndthenError } from '../../base/index.ts'
import type { Session, SessionTable } from '../../session/index.ts'
import {
  isSignedByServer,
  type NotPushed,
  notPushedNames,
  type Open,
  type Output,
  type Peer,
  type Push,
  type Receipt,
  type Resume,
  type Rewind,
  signReceipt,
  type Step,
  VerifyPolicy,
  Want
} from '../../wire/index.ts'
import { BufferPool, newBuffer, type StatesBuffer } from '../buffers.ts'
import { RequestError } from '../errors.ts'
import { Race } from '../race.ts'
import type { Effect, PushArrival, StepRecord } from '../race-types.ts'
import type { ServerComponents } from './facts.ts'
import type { OwnerConnection } from './owner-connection.ts'
import type { PushSender } from './push-sender.ts'
import type { PushTarget } from './push-target.ts'
import { stampsOf, type StepNotes } from './step-notes.ts'

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
  readonly pushKey: Uint8Array
  readonly race: Race<StatesBuffer>
  /** Peer id that may push here; empty: none. */
  upstream: string
  /** The stream that speaks for the owner; none while the owner is away. */
  connection: OwnerConnection | null
  readonly #components: HostedSessionComponents
  readonly #onUpstream: () => void
  readonly #pool = new BufferPool()
  readonly #notes = new WeakMap<Record, StepNotes>()
  #target: PushTarget | null = null
  #run: AbortController | null = null
  #cancelTimer: (() => void) | null = null
  #receivingBytes = 0

  constructor(components: HostedSessionComponents, init: HostedSessionInit) {
    const { limits, facts } = components
    this.#components = components
    this.#onUpstream = init.onUpstream
    this.session = init.session
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
  }

  get next(): string | null {
    return this.#target?.next.peerId ?? null
  }

  /** The owner's Step; returns where its `bytes` of tensor go. */
  onStep(step: Step, bytes: number): Uint8Array | null {
    if (step.next !== null || step.nextNone) this.#setNext(step.next)
    const { facts, limits, clock } = this.#components
    if (bytes > 0 && bytes !== step.n * facts.hiddenSize * 4) {
      this.#refuse(
        new RequestError('BAD_STEP', `${bytes} bytes for ${step.n} tokens of ${facts.hiddenSize} float32 each`),
        step
      )
      return null
    }
    if (this.#receivingBytes + bytes > limits.creditBytes) {
      this.#refuse(new RequestError('FLOW', `more than ${limits.creditBytes} bytes under way at once`), step)
      return null
    }
    this.#apply(this.race.onStep(step, bytes > 0, clock.now()))
    if (bytes === 0) return null
    this.#receivingBytes += bytes
    // Kept by the buffer's identity until `onCopy`: the reader fills just this view.
    const buffer = this.#pool.take(bytes)
    this.#filling.set(buffer.bytes, buffer)
    return buffer.bytes
  }
  readonly #filling = new Map<Uint8Array, StatesBuffer>()

  /** The owner's bytes of a step are whole. */
  onCopy(step: Step, tensor: Uint8Array): void {
    const input = this.#filling.get(tensor)
    if (input === undefined) return
    this.#filling.delete(tensor)
    this.#receivingBytes -= tensor.length
    const { facts, digest, clock } = this.#components
    const sum = digest({ boundary: facts.from, position: step.position, n: step.n }, tensor)
    this.#apply(this.race.onCopy(step, { digest: sum, input, bytes: tensor.length }, clock.now()))
  }

  onVerify(epoch: number, step: number, digest: Uint8Array): void {
    this.#apply(this.race.onVerify(epoch, step, digest, this.#components.clock.now()))
  }

  onRewind(rewind: Rewind): void {
    const effects = this.race.onRewind(rewind.epoch, rewind.length)
    if (effects === null) {
      const told = `epoch ${rewind.epoch} is not above ${this.race.epoch}, which was begun before`
      this.#refuse(new RequestError('EPOCH', told), { epoch: rewind.epoch, step: 0 })
      return
    }
    this.#apply(effects)
    if (rewind.upstreamNone || rewind.upstream !== '') {
      this.upstream = rewind.upstreamNone ? '' : rewind.upstream
      this.#onUpstream()
    }
    if (rewind.next !== null || rewind.nextNone) this.#setNext(rewind.next)
    void this.#sendRewound(rewind.epoch)
  }

  /** A push that `checkPush` found to be what it says. */
  onPush(push: Push, arrival: PushArrival<StatesBuffer>): void {
    this.#apply(this.race.onPush(arrival, this.#components.clock.now()))
    // Off the critical path: by now the span computes, in another thread.
    setImmediate(() => {
      if (this.session.signal.aborted || isSignedByServer(push.receipt, this.#components.verify)) return
      this.#apply(this.race.onForgedReceipt(push.epoch, push.step))
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
    this.#filling.clear()
    this.#receivingBytes = 0
    const { epoch, lengths, nextStep } = this.race
    connection.send({ kind: 'resumed', value: { epoch, lengths, nextStep, credit: this.credit } })
    if (resume.epoch === epoch) for (const record of this.race.answeredFrom(resume.outputs)) this.#repeat(record)
  }

  get credit(): { steps: number; bytes: number } {
    const { creditSteps, creditBytes } = this.#components.limits
    return { steps: creditSteps, bytes: creditBytes }
  }

  /** The session is over: stops its work, tells both neighbours. */
  end(reason: string, resumable: boolean): void {
    this.#cancelTimer?.()
    const { lengths, pushes } = this.race
    this.#apply(this.race.onClose())
    this.connection?.send({ kind: 'terminated', value: { reason, resumable, lengths, pushes } })
    this.connection?.close()
    this.connection = null
    if (this.#target !== null) this.#components.sender.release(this.#target, reason)
    this.#target = null
  }

  #setNext(peer: Peer | null): void {
    const { sender } = this.#components
    const pushKey = peer === null ? '' : Buffer.from(peer.pushKey).toString('hex')
    if (peer !== null && this.#target?.next.pushKey === pushKey && this.#target.next.peerId === peer.peerId) return
    if (this.#target !== null) sender.release(this.#target)
    const { peerId = '', addresses = [] } = peer ?? {}
    this.#target = peer === null ? null : sender.attach({ peerId, addresses, pushKey }, this.session.owner)
  }

  async #sendRewound(epoch: number): Promise<void> {
    const target = this.#target
    const reason = target === null ? 'NO_NEXT' : await this.#components.sender.attached(target)
    const attached = reason === 'PUSHED' && target !== null ? Buffer.from(target.next.pushKey, 'hex') : new Uint8Array()
    const { lengths } = this.race
    this.connection?.send({
      kind: 'rewound',
      value: { epoch, lengths, attached, notAttached: notPushedNames.indexOf(reason) }
    })
  }

  #apply(effects: readonly Effect<StatesBuffer>[]): void {
    for (const effect of effects) this.#carryOut(effect)
    this.#setTimer()
  }

  #carryOut(effect: Effect<StatesBuffer>): void {
    switch (effect.kind) {
      case 'run':
        void this.#compute(effect.record)
        return
      case 'terminate':
        this.#run?.abort()
        return
      case 'truncate':
        this.#truncate(effect.length)
        return
      case 'answer':
        this.#answer(effect.record)
        return
      case 'repeat':
        this.#repeat(effect.record)
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
        this.#pool.giveBack(effect.input)
    }
  }

  /** One timer for all that the race waits for, moved only when it is due earlier. */
  #timerAt = Number.POSITIVE_INFINITY
  #setTimer(): void {
    const { clock } = this.#components
    const deadline = this.race.deadline
    if (deadline === null || deadline >= this.#timerAt) return
    this.#cancelTimer?.()
    this.#timerAt = deadline
    this.#cancelTimer = clock.after(deadline - clock.now(), () => {
      this.#timerAt = Number.POSITIVE_INFINITY
      this.#cancelTimer = null
      this.#apply(this.race.onTimer(clock.now()))
    })
  }

  #truncate(length: number): void {
    const { row } = this.session
    const { runner } = this.#components
    // A parked session's row is cut when it is back, before its next run.
    if (row !== undefined && runner.length(row.slot) > length) runner.rewind(row.slot, length)
  }

  async #compute(record: Record): Promise<void> {
    const { table, lane, runner, ledger } = this.#components
    const controller = new AbortController()
    this.#run = controller
    let failure: unknown
    try {
      await table.runStarted(this.session)
      try {
        const { row } = this.session
        const { input } = record
        if (row === undefined || input === null) throw new RequestError('RUN_FAILED', 'the session lost its row')
        if (runner.length(row.slot) > record.position) runner.rewind(row.slot, record.position)
        const output = newBuffer(input.bytes.length)
        const work = {
          slot: row.slot,
          tokens: record.n,
          position: record.position,
          input: input.states,
          output: output.states
        }
        const timings = await lane.submit(work, { signal: controller.signal })
        this.#notes.set(record, { output, timings })
        ledger.tokens += record.n
      } finally {
        table.runEnded(this.session)
      }
    } catch (thrown) {
      failure = thrown
    }
    this.#run = null
    const wanted = !controller.signal.aborted && !this.session.signal.aborted
    this.#apply(this.race.onRunEnded(failure === undefined))
    if (failure !== undefined && wanted) this.#fail(failure, record)
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

  /** Pushes the output on, then answers the owner: in this order, for the next server waits for it. */
  #answer(record: Record): void {
    const notes = this.#notes.get(record)
    if (notes === undefined) return
    const { facts, digest, clock, ledger } = this.#components
    const { bytes } = notes.output
    const { epoch, step, position, n } = record
    const last = record.want === Want.last && this.#target === null
    const sent = last ? bytes.subarray(bytes.length - facts.hiddenSize * 4) : bytes
    const outputDigest = digest(
      { boundary: facts.to, position: last ? position + n - 1 : position, n: last ? 1 : n },
      sent
    )
    const inputDigest = record.digest ?? new Uint8Array()
    const receipt = record.replay ? null : this.#sign(record, inputDigest, outputDigest)
    const reason = receipt === null ? 'NO_NEXT' : this.#push(record, receipt, outputDigest, bytes)
    const pushQueuedAt = reason === 'PUSHED' ? clock.now() : 0
    const pushed =
      reason === 'PUSHED' && this.#target !== null ? Buffer.from(this.#target.next.pushKey, 'hex') : new Uint8Array()
    if (reason === 'PUSHED') ledger.pushes.sent++
    else if (this.#target !== null && !record.replay) ledger.pushes.dropped++
    const output: Output = {
      epoch,
      step,
      position,
      n,
      inputDigest,
      outputDigest,
      lengths: this.race.lengths,
      pushed,
      notPushed: notPushedNames.indexOf(reason),
      receipts: receipt === null ? [] : [receipt],
      stamps: stampsOf(record, notes.timings, pushQueuedAt, clock),
      replay: record.replay,
      usedPush: record.source === 'push',
      pushes: this.race.pushes
    }
    this.#answered.set(record, { output, tensor: record.want === Want.none ? null : sent })
    this.#repeat(record)
  }
  readonly #answered = new WeakMap<Record, { output: Output; tensor: Uint8Array | null }>()

  #repeat(record: Record): void {
    const answer = this.#answered.get(record)
    if (answer === undefined) return
    const message = { kind: 'output' as const, value: answer.output }
    if (answer.tensor === null) this.connection?.send(message)
    else {
      this.#components.ledger.bytesOut += answer.tensor.length
      this.connection?.sendTensor(message, answer.tensor, { stale: () => record.epoch < this.race.epoch })
    }
  }

  #sign(record: Record, inputDigest: Uint8Array, outputDigest: Uint8Array): Receipt {
    const { facts, sign } = this.#components
    const { epoch, step, position, n } = record
    return signReceipt(
      {
        server: facts.peerId,
        owner: this.session.owner,
        incarnation: this.session.incarnation ?? new Uint8Array(),
        modelDigest: facts.modelDigest,
        from: facts.from,
        to: facts.to,
        epoch,
        step,
        position,
        n,
        inputDigest,
        outputDigest
      },
      sign
    )
  }

  #push(record: Record, receipt: Receipt, digest: Uint8Array, bytes: Uint8Array): NotPushed {
    const target = this.#target
    if (target === null) return 'NO_NEXT'
    const { epoch, step, position, n } = record
    const pushKey = Buffer.from(target.next.pushKey, 'hex')
    const value = { pushKey, epoch, step, position, n, digest, receipt }
    const reason = this.#components.sender.push(target, value, bytes, () => epoch < this.race.epoch)
    if (reason === 'PUSHED') this.#components.ledger.bytesOut += bytes.length
    return reason
  }

  #sendMismatch(effect: Extract<Effect<StatesBuffer>, { kind: 'mismatch' }>): void {
    const { ledger, logger } = this.#components
    ledger.mismatches++
    const { epoch, step, pushed, owner, receipt } = effect
    logger.warn(
      { session: this.session.id, upstream: this.upstream, epoch, step },
      'what was pushed is not what the client got'
    )
    this.connection?.send({
      kind: 'mismatch',
      value: {
        epoch,
        step,
        pushedDigest: pushed,
        ownerDigest: owner,
        committed: this.race.lengths.committed,
        ...(receipt === null ? {} : { upstreamReceipt: receipt })
      }
    })
  }

  #refuse(error: RequestError, { epoch, step }: { epoch: number; step: number }): void {
    this.connection?.sendError(error, { epoch, step, lengths: this.race.lengths })
  }
}
