import { equalBytes, type Receipt } from '../../wire/index.ts'
import { CacheRow } from './cache-row.ts'
import { Hold, HOLD_MS } from './hold.ts'
import { Lateness, MOST_PATIENCE_MS } from './lateness.ts'
import type { Arrival, Effect, IgnoredReason, PushArrival, RaceInit } from './race-types.ts'
import { newStep, type StepHeader, type StepRecord } from './step-record.ts'
import { StepWindow } from './step-window.ts'

/**
 * The steps of one session on one server: which copy of each input is used, what is proven, what is committed.
 * Events in, effects out; no sockets, no timers, no tensors.
 *
 *     owner's Step ─▶ waiting ──push or copy──▶ ready ──row free──▶ running ──▶ done ──proven, in order──▶ committed
 *                        ▲                        │
 *                   held pushes          Verify or the other copy: equal, or the epoch ends
 *
 * Invariants, checked over all interleavings by its tests: what is committed is what the owner proved; no step is
 * computed or answered twice in one epoch; the committed state is that of a run in which the owner sent every input.
 */
export class Race<I> {
  readonly pushes = { used: 0, late: 0, ignored: 0, mismatched: 0 }
  readonly ignored: Partial<Record<IgnoredReason, number>> = {}

  readonly #trustPushes: boolean
  readonly #steps: StepWindow<I>
  readonly #hold: Hold<I>
  readonly #lateness = new Lateness()
  readonly #row: CacheRow<I>
  #epoch = 0
  #ended = false

  constructor(init: RaceInit) {
    const { maxLength, maxTentative = 8, maxOutstanding = 16 } = init
    this.#trustPushes = init.trustPushes ?? false
    this.#steps = new StepWindow({ maxLength, maxTentative, maxOutstanding })
    this.#row = new CacheRow(this.#steps, record => this.#isProven(record))
    this.#hold = new Hold({
      maxSteps: maxTentative,
      maxBytes: init.maxHeldBytes ?? 16 * 1024 * 1024,
      holdMs: init.holdMs ?? HOLD_MS
    })
  }

  get epoch(): number {
    return this.#epoch
  }

  /** Tokens in the KV cache, and those of them whose input is proven. */
  get lengths(): { length: number; committed: number } {
    return { length: this.#row.length, committed: this.#steps.committed }
  }

  /** The number of the next new step of this epoch. */
  get nextStep(): number {
    return this.#steps.nextStep
  }

  /** All that its future depends on, as plain values: what its model checker compares. */
  get state(): object {
    const { records, committed, nextStep } = this.#steps
    return {
      ...{ epoch: this.#epoch, ended: this.#ended, committed, nextStep, records, ...this.#row.state },
      ...{ held: this.#hold.held, latenessMs: this.#lateness.smoothedMs }
    }
  }

  /** The steps of this epoch, from number `step` on, that were answered and are still kept. */
  answeredFrom(step: number): readonly StepRecord<I>[] {
    return this.#steps.records.filter(record => !record.replay && record.phase === 'done' && record.step >= step)
  }

  /** The owner asks for a step; its bytes, where it sends them, follow by `onCopy`. */
  onStep(header: StepHeader, withBytes: boolean, now: number): Effect<I>[] {
    if (header.epoch < this.#epoch || (header.epoch === this.#epoch && this.#ended)) return []
    if (header.epoch > this.#epoch) {
      const message = `epoch ${header.epoch} was not begun here; it is ${this.#epoch}: send Rewind first`
      return [{ kind: 'refuse', code: 'EPOCH', message, header }]
    }
    const known = this.#steps.find(header)
    // The copy of a step that is proven and forgotten: there is nothing left to compare it with.
    if (known === undefined && withBytes && !header.replay && header.step < this.#steps.nextStep) return []
    const problem = this.#steps.problemWith(header, known)
    if (problem !== null) return [{ kind: 'refuse', code: problem[0], message: problem[1], header }]
    if (known !== undefined) {
      const repeats = !withBytes && !known.replay && known.phase === 'done'
      return repeats ? [{ kind: 'repeat', record: known }] : []
    }
    const record = newStep<I>(header, now)
    // Nobody will say that the push is due: it is given as long as any.
    if (this.#trustPushes && !withBytes) record.needCopyAt = now + MOST_PATIENCE_MS
    this.#steps.add(record)
    const held = header.replay ? undefined : this.#hold.take(header.epoch, header.step)
    return held === undefined ? [] : this.#onPush(held.push, now, held.arrivedAt)
  }

  /** The owner's own bytes of a step are there. */
  onCopy(header: StepHeader, copy: Arrival<I>, now: number): Effect<I>[] {
    const record = header.epoch === this.#epoch && !this.#ended ? this.#steps.find(header) : undefined
    const effects: Effect<I>[] = []
    if (record === undefined || record.position !== header.position || record.n !== header.n)
      effects.push({ kind: 'drop', input: copy.input })
    else {
      if (record.copyArrivedAt === 0) record.copyArrivedAt = now
      if (record.phase === 'waiting') this.#use(effects, record, 'copy', copy)
      else {
        effects.push({ kind: 'drop', input: copy.input })
        this.#prove(effects, record, copy.digest, now)
      }
    }
    return effects
  }

  /** A push from the session's upstream is there, whole, and its receipt names these bytes. */
  onPush(push: PushArrival<I>, now: number): Effect<I>[] {
    return this.#onPush(push, now, now)
  }

  #onPush(push: PushArrival<I>, now: number, arrivedAt: number): Effect<I>[] {
    const effects: Effect<I>[] = []
    const record = push.epoch === this.#epoch ? this.#steps.numbered(push.step) : undefined
    if (push.epoch < this.#epoch) this.#ignore(effects, 'stale-epoch', push)
    else if (push.epoch === this.#epoch && this.#ended) this.#ignore(effects, 'ended-epoch', push)
    else if (record !== undefined) this.#onPushOf(effects, record, push, now, arrivedAt)
    else if (push.epoch === this.#epoch && push.step < this.#steps.nextStep) this.#ignore(effects, 'stale-step', push)
    else {
      const outcome = this.#hold.add(push, now)
      if (outcome !== 'held') this.#ignore(effects, outcome, push)
    }
    return effects
  }

  /** A push of a step that the owner has asked for. */
  #onPushOf(effects: Effect<I>[], record: StepRecord<I>, push: PushArrival<I>, now: number, arrivedAt: number): void {
    if (record.position !== push.position || record.n !== push.n) return this.#ignore(effects, 'position', push)
    // One that was used is proven or not by the owner's word: a second one, true or not, takes the place neither of its
    // bytes nor of its receipt, which convicts whoever sent both. A second late one is none either.
    if (record.source === 'push' || record.late) return this.#ignore(effects, 'duplicate', push)
    if (record.pushArrivedAt === 0) {
      record.pushArrivedAt = arrivedAt
      if (record.phase === 'waiting' && record.verifiedAt !== null) this.#lateness.add(now - record.verifiedAt)
    }
    const expected = record.phase === 'waiting' ? record.proof : record.digest
    if (expected !== null && !equalBytes(expected, push.digest)) {
      record.receipt = push.receipt
      effects.push({ kind: 'drop', input: push.input })
      return this.#mismatch(effects, record, push.digest, expected)
    }
    if (record.phase === 'waiting') {
      record.receipt = push.receipt
      this.pushes.used++
      return this.#use(effects, record, 'push', push)
    }
    record.late = true
    this.pushes.late++
    effects.push({ kind: 'drop', input: push.input })
  }

  /**
   * The signature of this receipt, which came with a push, turned out to be forged: the push proves nothing, and counts
   * only where the owner has proven the same bytes.
   */
  onForgedReceipt(receipt: Receipt): Effect<I>[] {
    const effects: Effect<I>[] = []
    const held = this.#hold.takeWith(receipt)
    const record = this.#steps.records.find(other => other.receipt === receipt)
    if (held !== undefined) this.#ignore(effects, 'receipt', held)
    else if (record !== undefined) {
      record.receipt = null
      if (!record.committed && record.proof === null && record.digest !== null)
        this.#mismatch(effects, record, record.digest, new Uint8Array())
    }
    return effects
  }

  /** The owner says what the input of a step is. */
  onVerify(epoch: number, step: number, digest: Uint8Array, now: number): Effect<I>[] {
    const effects: Effect<I>[] = []
    if (epoch !== this.#epoch || this.#ended) return effects
    const record = this.#steps.numbered(step)
    if (record !== undefined) this.#prove(effects, record, digest, now)
    return effects
  }

  /**
   * The owner begins a higher epoch at `length` tokens, or at what is committed where that is less. Null where the epoch
   * is not higher: the request came too late and changes nothing. Where the owner names another upstream with it, what
   * the one before has pushed ahead is of no use.
   */
  onRewind(epoch: number, length: number, upstreamChanged = false): Effect<I>[] | null {
    if (epoch <= this.#epoch) return null
    const effects: Effect<I>[] = []
    this.#row.cut(effects, Math.min(length, this.#steps.committed))
    this.#epoch = epoch
    this.#ended = false
    for (const push of this.#hold.takeBefore(epoch)) this.#ignore(effects, 'stale-epoch', push)
    if (upstreamChanged) for (const push of this.#hold.takeAll()) this.#ignore(effects, 'former-upstream', push)
    return effects
  }

  /** The run in flight ended; `completed` is false where it was terminated or failed. */
  onRunEnded(completed: boolean): Effect<I>[] {
    const effects: Effect<I>[] = []
    this.#row.ended(effects, completed)
    return effects
  }

  /** The upstream lost this session: its pushes will not come any more. */
  onUpstreamGone(now: number): Effect<I>[] {
    for (const record of this.#steps.records)
      if (record.phase === 'waiting' && this.#isProven(record)) record.needCopyAt = now
    return this.onTimer(now)
  }

  /** The owner comes back, and may not have heard that its copies are needed. */
  onOwnerBack(now: number): Effect<I>[] {
    return this.onUpstreamGone(now)
  }

  /** When `onTimer` is due, ms; null when nothing is waited for. */
  get deadline(): number | null {
    let earliest = this.#hold.deadline
    for (const { needCopyAt } of this.#steps.records)
      if (needCopyAt !== null && (earliest === null || needCopyAt < earliest)) earliest = needCopyAt
    return earliest
  }

  onTimer(now: number): Effect<I>[] {
    const effects: Effect<I>[] = []
    for (const push of this.#hold.takeExpired(now)) this.#ignore(effects, 'hold-expired', push)
    for (const record of this.#steps.records) {
      if (record.needCopyAt === null || record.needCopyAt > now) continue
      record.needCopyAt = null
      effects.push({ kind: 'need-copy', epoch: record.epoch, step: record.step })
    }
    return effects
  }

  /** The session ends: stops the run, gives back every input. */
  onClose(): Effect<I>[] {
    const effects: Effect<I>[] = []
    this.#row.cut(effects, 0)
    this.#ended = true
    for (const push of this.#hold.takeAll()) effects.push({ kind: 'drop', input: push.input })
    return effects
  }

  #ignore(effects: Effect<I>[], reason: IgnoredReason, push: PushArrival<I>): void {
    this.pushes.ignored++
    this.ignored[reason] = (this.ignored[reason] ?? 0) + 1
    effects.push({ kind: 'drop', input: push.input })
  }

  #use(effects: Effect<I>[], record: StepRecord<I>, source: 'push' | 'copy', arrival: Arrival<I>): void {
    record.phase = 'ready'
    record.source = source
    record.digest = arrival.digest
    record.input = arrival.input
    record.needCopyAt = null
    // The owner's bytes are their own proof, unless it said otherwise before.
    if (source === 'copy') record.proof ??= arrival.digest
    if (record.proof !== null && !equalBytes(record.proof, arrival.digest))
      this.#mismatch(effects, record, arrival.digest, record.proof)
    else this.#row.advance(effects)
  }

  /** The owner's word on a step that has an input already, or will have. */
  #prove(effects: Effect<I>[], record: StepRecord<I>, digest: Uint8Array, now: number): void {
    record.proof ??= digest
    if (record.digest === null) {
      record.verifiedAt = now
      record.needCopyAt = now + this.#lateness.patienceMs
    } else if (!equalBytes(digest, record.digest)) this.#mismatch(effects, record, record.digest, digest)
    else {
      this.#row.commit()
      this.#row.advance(effects)
    }
  }

  #isProven(record: StepRecord<I>): boolean {
    if (record.source === 'copy' || record.replay) return true
    return this.#trustPushes || record.proof !== null
  }

  #mismatch(effects: Effect<I>[], record: StepRecord<I>, pushed: Uint8Array, owner: Uint8Array): void {
    this.pushes.mismatched++
    const { epoch, step, receipt } = record
    this.#row.cut(effects, this.#steps.committed)
    this.#ended = true
    effects.push({ kind: 'mismatch', epoch, step, pushed, owner, receipt })
  }
}
