import { equalBytes, type Receipt } from '../wire/index.ts'
import { Hold } from './hold.ts'
import { Lateness, MOST_PATIENCE_MS } from './lateness.ts'
import type {
  Arrival,
  Effect,
  IgnoredReason,
  PushArrival,
  RaceInit,
  RefusalCode,
  StepHeader,
  StepRecord
} from './race-types.ts'

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

  readonly #maxLength: number
  readonly #maxTentative: number
  readonly #maxOutstanding: number
  readonly #trustPushes: boolean
  readonly #hold: Hold<I>
  readonly #lateness = new Lateness()
  /** Steps of this epoch by position, the oldest first; committed ones stay a while to answer repeats and late copies. */
  #records: StepRecord<I>[] = []
  #running: StepRecord<I> | null = null
  #epoch = 0
  #ended = false
  #length = 0
  #committed = 0
  #next = { step: 0, position: 0 }
  /** Where the cache is cut once the run in flight has ended. */
  #cutTo: number | null = null

  constructor(init: RaceInit) {
    this.#maxLength = init.maxLength
    this.#maxTentative = init.maxTentative ?? 8
    this.#maxOutstanding = init.maxOutstanding ?? 16
    this.#trustPushes = init.trustPushes ?? false
    this.#hold = new Hold({
      maxSteps: this.#maxTentative,
      maxBytes: init.maxHeldBytes ?? 16 * 1024 * 1024,
      holdMs: init.holdMs ?? 2000
    })
  }

  get epoch(): number {
    return this.#epoch
  }

  /** Tokens in the KV cache, and those of them whose input is proven. */
  get lengths(): { length: number; committed: number } {
    return { length: this.#length, committed: this.#committed }
  }

  /** The number of the next new step of this epoch. */
  get nextStep(): number {
    return this.#next.step
  }

  /** The steps of this epoch, from number `step` on, that were answered and are still kept. */
  answeredFrom(step: number): readonly StepRecord<I>[] {
    return this.#records.filter(record => !record.replay && record.phase === 'done' && record.step >= step)
  }

  /** The owner asks for a step; its bytes, where it sends them, follow by `onCopy`. */
  onStep(header: StepHeader, withBytes: boolean, now: number): Effect<I>[] {
    if (header.epoch < this.#epoch || (header.epoch === this.#epoch && this.#ended)) return []
    if (header.epoch > this.#epoch)
      return this.#refuse(
        'EPOCH',
        header,
        `epoch ${header.epoch} was not begun here; it is ${this.#epoch}: send Rewind first`
      )
    const known = this.#find(header)
    if (known !== undefined) return this.#again(known, header, withBytes)
    // The copy of a step that is proven and forgotten: there is nothing left to compare it with.
    if (withBytes && !header.replay && header.step < this.#next.step) return []
    const problem = this.#problemWith(header)
    if (problem !== null) return this.#refuse(problem[0], header, problem[1])

    const record: StepRecord<I> = {
      ...header,
      phase: 'waiting',
      source: null,
      digest: null,
      input: null,
      proof: null,
      receipt: null,
      committed: false,
      requestedAt: now,
      pushArrivedAt: 0,
      copyArrivedAt: 0,
      verifiedAt: null,
      // Nobody will say that the push is due: it is given as long as any.
      needCopyAt: this.#trustPushes && !withBytes ? now + MOST_PATIENCE_MS : null
    }
    this.#records.push(record)
    this.#next = { step: header.replay ? 0 : header.step + 1, position: header.position + header.n }
    const held = header.replay ? undefined : this.#hold.take(header.epoch, header.step)
    return held === undefined ? [] : this.#onPush(held.push, now, held.arrivedAt)
  }

  /** The owner's own bytes of a step are there. */
  onCopy(header: StepHeader, copy: Arrival<I>, now: number): Effect<I>[] {
    const record = header.epoch === this.#epoch && !this.#ended ? this.#find(header) : undefined
    if (record === undefined || record.position !== header.position || record.n !== header.n)
      return [{ kind: 'drop', input: copy.input }]
    if (record.copyArrivedAt === 0) record.copyArrivedAt = now
    if (record.phase === 'waiting') return [...this.#use(record, 'copy', copy), ...this.#advance()]
    return [{ kind: 'drop', input: copy.input }, ...this.#prove(record, copy.digest, now)]
  }

  /** A push from the session's upstream is there, whole, and its receipt names these bytes. */
  onPush(push: PushArrival<I>, now: number): Effect<I>[] {
    return this.#onPush(push, now, now)
  }

  #onPush(push: PushArrival<I>, now: number, arrivedAt: number): Effect<I>[] {
    if (push.epoch < this.#epoch) return this.#ignore('stale-epoch', push)
    if (push.epoch === this.#epoch && this.#ended) return this.#ignore('ended-epoch', push)
    const record = push.epoch === this.#epoch ? this.#find({ ...push, replay: false }) : undefined
    if (record === undefined) {
      if (push.epoch === this.#epoch && push.step < this.#next.step) return this.#ignore('stale-step', push)
      const outcome = this.#hold.add(push, now)
      return outcome === 'held' ? [] : this.#ignore(outcome, push)
    }
    if (record.position !== push.position || record.n !== push.n) return this.#ignore('position', push)
    if (record.pushArrivedAt === 0) {
      record.pushArrivedAt = arrivedAt
      if (record.phase === 'waiting' && record.verifiedAt !== null) this.#lateness.add(now - record.verifiedAt)
    }
    if (record.phase === 'waiting') {
      record.receipt = push.receipt
      if (record.proof !== null && !equalBytes(record.proof, push.digest))
        return [{ kind: 'drop', input: push.input }, ...this.#mismatch(record, push.digest, record.proof)]
      this.pushes.used++
      return [...this.#use(record, 'push', push), ...this.#advance()]
    }
    const used = record.digest
    if (used !== null && !equalBytes(used, push.digest)) {
      record.receipt = push.receipt
      return [{ kind: 'drop', input: push.input }, ...this.#mismatch(record, push.digest, used)]
    }
    if (record.source === 'push') return this.#ignore('duplicate', push)
    this.pushes.late++
    return [{ kind: 'drop', input: push.input }]
  }

  /**
   * The signature of this receipt, which came with a push, turned out to be forged: the push proves nothing, and counts
   * only where the owner has proven the same bytes.
   */
  onForgedReceipt(receipt: Receipt): Effect<I>[] {
    const held = this.#hold.takeWith(receipt)
    if (held !== undefined) return this.#ignore('receipt', held)
    const record = this.#records.find(other => other.receipt === receipt)
    if (record === undefined) return []
    record.receipt = null
    if (record.committed || record.proof !== null || record.digest === null) return []
    return this.#mismatch(record, record.digest, new Uint8Array())
  }

  /** The owner says what the input of a step is. */
  onVerify(epoch: number, step: number, digest: Uint8Array, now: number): Effect<I>[] {
    if (epoch !== this.#epoch || this.#ended) return []
    const record = this.#records.find(other => !other.replay && other.step === step)
    return record === undefined ? [] : this.#prove(record, digest, now)
  }

  /**
   * The owner begins a higher epoch at `length` tokens, or at what is committed where that is less. Null where the epoch
   * is not higher: the request came too late and changes nothing. Where the owner names another upstream with it, what
   * the one before has pushed ahead is of no use.
   */
  onRewind(epoch: number, length: number, upstreamChanged = false): Effect<I>[] | null {
    if (epoch <= this.#epoch) return null
    const target = Math.min(length, this.#committed)
    const effects = this.#endEpoch(target)
    this.#epoch = epoch
    this.#ended = false
    this.#committed = target
    this.#next = { step: 0, position: target }
    for (const push of this.#hold.takeBefore(epoch)) effects.push(...this.#ignore('stale-epoch', push))
    if (upstreamChanged) for (const push of this.#hold.takeAll()) effects.push(...this.#ignore('former-upstream', push))
    return effects
  }

  /** The run in flight ended; `completed` is false where it was terminated or failed. */
  onRunEnded(completed: boolean): Effect<I>[] {
    const record = this.#running
    if (record === null) return []
    this.#running = null
    const effects: Effect<I>[] = []
    if (record.input !== null) effects.push({ kind: 'drop', input: record.input })
    record.input = null
    if (this.#cutTo !== null) {
      effects.push({ kind: 'truncate', length: this.#cutTo })
      this.#cutTo = null
    } else if (completed) {
      record.phase = 'done'
      this.#length = record.position + record.n
      this.#commit()
      effects.push({ kind: 'answer', record })
    }
    return [...effects, ...this.#advance()]
  }

  /** The upstream lost this session: its pushes will not come any more. */
  onUpstreamGone(now: number): Effect<I>[] {
    for (const record of this.#records)
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
    for (const { needCopyAt } of this.#records)
      if (needCopyAt !== null && (earliest === null || needCopyAt < earliest)) earliest = needCopyAt
    return earliest
  }

  onTimer(now: number): Effect<I>[] {
    const effects: Effect<I>[] = []
    for (const push of this.#hold.takeExpired(now)) effects.push(...this.#ignore('hold-expired', push))
    for (const record of this.#records) {
      if (record.needCopyAt === null || record.needCopyAt > now) continue
      record.needCopyAt = null
      effects.push({ kind: 'need-copy', epoch: record.epoch, step: record.step })
    }
    return effects
  }

  /** The session ends: stops the run, gives back every input. */
  onClose(): Effect<I>[] {
    const effects = this.#endEpoch(0)
    this.#committed = 0
    this.#ended = true
    for (const push of this.#hold.takeAll()) effects.push({ kind: 'drop', input: push.input })
    return effects
  }

  #find(header: Pick<StepHeader, 'step' | 'position' | 'replay'>): StepRecord<I> | undefined {
    // Newest first: nearly always it is the last one.
    return this.#records.findLast(
      record =>
        record.replay === header.replay &&
        (record.replay ? record.position === header.position : record.step === header.step)
    )
  }

  /** The owner names a step that it has named before. */
  #again(known: StepRecord<I>, header: StepHeader, withBytes: boolean): Effect<I>[] {
    const { step, position, n } = known
    if (header.position !== position || header.n !== n) {
      const told = `step ${step} was asked for as ${n} tokens at position ${position}, not ${header.n} at ${header.position}`
      return this.#refuse('BAD_STEP', header, told)
    }
    const repeat = !withBytes && !known.replay && known.phase === 'done'
    return repeat ? [{ kind: 'repeat', record: known }] : []
  }

  #problemWith(header: StepHeader): [RefusalCode, string] | null {
    const { step, position } = this.#next
    const end = header.position + header.n
    if (header.n < 1) return ['BAD_STEP', 'a step of no tokens']
    if (header.replay && step > 0) return ['BAD_STEP', 'a replay after the first step of an epoch']
    if (!header.replay && header.step < step)
      return ['GONE', `the answer of step ${header.step} is no longer kept; the next is ${step}`]
    if (!header.replay && header.step > step) return ['GAP', `step ${header.step} where ${step} is next`]
    if (header.position > position)
      return ['GAP', `position ${header.position}, but the session's length is ${position}`]
    if (header.position < position)
      return [
        'BEHIND',
        `position ${header.position} is before the session's length ${position}: send Rewind with a higher epoch first`
      ]
    if (end > this.#maxLength)
      return ['LENGTH_EXCEEDED', `${end} tokens; this session holds ${this.#maxLength} at most`]
    const outstanding = this.#records.reduce((count, record) => count + (record.phase === 'done' ? 0 : 1), 0)
    if (outstanding >= this.#maxOutstanding)
      return ['FLOW', `more than ${this.#maxOutstanding} steps unanswered at once`]
    return null
  }

  #refuse(code: RefusalCode, header: StepHeader, message: string): Effect<I>[] {
    return [{ kind: 'refuse', code, message, header }]
  }

  #ignore(reason: IgnoredReason, push: PushArrival<I>): Effect<I>[] {
    this.pushes.ignored++
    this.ignored[reason] = (this.ignored[reason] ?? 0) + 1
    return [{ kind: 'drop', input: push.input }]
  }

  #use(record: StepRecord<I>, source: 'push' | 'copy', arrival: Arrival<I>): Effect<I>[] {
    record.phase = 'ready'
    record.source = source
    record.digest = arrival.digest
    record.input = arrival.input
    record.needCopyAt = null
    // The owner's bytes are their own proof, unless it said otherwise before.
    if (source === 'copy') record.proof ??= arrival.digest
    return record.proof !== null && !equalBytes(record.proof, arrival.digest)
      ? this.#mismatch(record, arrival.digest, record.proof)
      : []
  }

  /** The owner's word on a step that has an input already, or will have. */
  #prove(record: StepRecord<I>, digest: Uint8Array, now: number): Effect<I>[] {
    record.proof ??= digest
    if (record.digest === null) {
      record.verifiedAt = now
      record.needCopyAt = now + this.#lateness.patienceMs
      return []
    }
    if (!equalBytes(digest, record.digest)) return this.#mismatch(record, record.digest, digest)
    this.#commit()
    return this.#advance()
  }

  #isProven(record: StepRecord<I>): boolean {
    if (record.source === 'copy' || record.replay) return true
    return this.#trustPushes || record.proof !== null
  }

  #commit(): void {
    for (const record of this.#records) {
      if (record.committed) continue
      if (record.phase !== 'done' || !this.#isProven(record)) break
      record.committed = true
      this.#committed = record.position + record.n
    }
    const committed = this.#records.reduce((count, record) => count + (record.committed ? 1 : 0), 0)
    if (committed > this.#maxTentative) this.#records.splice(0, committed - this.#maxTentative)
  }

  /** Starts the next step whose turn it is, when the row is free. */
  #advance(): Effect<I>[] {
    if (this.#running !== null || this.#ended) return []
    let tentative = 0
    for (const record of this.#records) {
      if (record.phase === 'done') {
        if (!record.committed) tentative++
        continue
      }
      if (record.phase !== 'ready' || tentative >= this.#maxTentative) return []
      record.phase = 'running'
      this.#running = record
      return [{ kind: 'run', record }]
    }
    return []
  }

  #mismatch(record: StepRecord<I>, pushed: Uint8Array, owner: Uint8Array): Effect<I>[] {
    this.pushes.mismatched++
    const { epoch, step, receipt } = record
    const effects = this.#endEpoch(this.#committed)
    this.#ended = true
    return [...effects, { kind: 'mismatch', epoch, step, pushed, owner, receipt }]
  }

  /** Drops the epoch's work: cuts the cache to `length`, now or when the run in flight has ended. */
  #endEpoch(length: number): Effect<I>[] {
    const effects: Effect<I>[] = []
    for (const record of this.#records) {
      if (record.input === null || record === this.#running) continue
      effects.push({ kind: 'drop', input: record.input })
    }
    this.#records = []
    this.#length = length
    if (this.#running === null) effects.push({ kind: 'truncate', length })
    else {
      this.#cutTo = length
      effects.push({ kind: 'terminate' })
    }
    return effects
  }
}
