import { equalBytes, type Outgoing, type Output, type OwnerMessage, type Resumed } from '../../wire/index.ts'

/** What a message of this kind holds, as its owner writes it. */
export type OwnerValue<K extends OwnerMessage['kind']> = Extract<Outgoing<OwnerMessage>, { kind: K }>['value']

/** A message to be sent again, with its tensor. */
export type SentAgain =
  | { readonly kind: 'step'; readonly value: OwnerValue<'step'>; readonly bytes: Uint8Array | null }
  | { readonly kind: 'verify'; readonly value: OwnerValue<'verify'> }

/** What to make of an output's header. */
export type Arrival =
  /** It is the first for its step: whoever listens says where its tensor goes. */
  | { readonly kind: 'first' }
  /** Its header was told before the stream was lost, its tensor was not whole: that goes where it was to go. */
  | { readonly kind: 'again'; readonly into: Uint8Array | null }
  /** It was here whole. */
  | { readonly kind: 'known' }
  /** It contradicts what was told before. */
  | { readonly kind: 'other' }

interface Sent {
  readonly step: number
  /** One past its last token. */
  readonly end: number
  readonly value: OwnerValue<'step'>
  /** The input, where it was sent. */
  bytes: Uint8Array | null
  /** The digest that proves the input, where it was sent. */
  digest: Uint8Array | null
  header: Output | null
  into: Uint8Array | null
  whole: boolean
}

/** Steps remembered at most: no honest server leaves more of them unanswered or uncommitted. */
const MOST = 64

/**
 * What was said of the steps of this epoch and may be lost with the stream: each step until its answer is whole and it is
 * committed. All of it may be said twice: a server that has it already changes nothing for it. Of the epoch before, the
 * proofs of what was answered, until the server has heard that it is over: what they commit is kept beyond it. Replayed
 * steps have no numbers that answers could be asked for by: of those nothing is kept.
 *
 *     sent ──header──▶ told ──tensor──▶ whole ──committed──▶ forgotten
 */
export class SentLog {
  #steps: Sent[] = []
  #epoch = 0
  #nextStep = 0
  /** The last epoch before this one in which steps were sent; null: the server has heard that it is over. */
  #before: { readonly epoch: number; readonly steps: readonly Sent[] } | null = null

  get epoch(): number {
    return this.#epoch
  }

  /** The first step whose answer is not whole here: answers are wanted from it on. */
  get outputs(): number {
    return this.#steps.find(({ whole }) => !whole)?.step ?? this.#nextStep
  }

  /** A higher epoch begins. */
  begin(epoch: number): void {
    if (this.#steps.length > 0) this.#before = { epoch: this.#epoch, steps: this.#steps }
    this.#epoch = epoch
    this.#steps = []
    this.#nextStep = 0
  }

  /** The server has heard of this epoch. */
  begun(): void {
    this.#before = null
  }

  sent(value: OwnerValue<'step'>, bytes: Uint8Array | null): void {
    const { epoch = 0, step = 0, position = 0, n = 0, replay = false } = value
    if (epoch !== this.#epoch || replay) return
    const known = this.#find(step)
    if (known !== undefined) {
      known.bytes ??= bytes
      return
    }
    if (step < this.#nextStep) return
    this.#nextStep = step + 1
    const end = position + n
    this.#steps.push({ step, end, value, bytes, digest: null, header: null, into: null, whole: false })
    if (this.#steps.length > MOST) this.#steps.shift()
  }

  proven({ epoch = 0, step = 0, digest }: OwnerValue<'verify'>): void {
    const known = epoch === this.#epoch ? this.#find(step) : undefined
    if (known !== undefined) known.digest = digest ?? null
  }

  /** An output's header came, with `bytes` of tensor to follow. */
  arrived(output: Output, bytes: number): Arrival {
    const sent = this.#sentFor(output)
    if (sent === undefined) return { kind: 'first' }
    if (sent.header === null) {
      sent.header = output
      sent.whole = bytes === 0
      this.#forget(output.lengths.committed)
      return { kind: 'first' }
    }
    if (sent.whole) return { kind: 'known' }
    if (!equalBytes(sent.header.outputDigest, output.outputDigest)) return { kind: 'other' }
    return { kind: 'again', into: sent.into }
  }

  /** Where the tensor of an output goes, as was said when its header was told first. */
  goes(output: Output, into: Uint8Array | null): void {
    const sent = this.#sentFor(output)
    if (sent !== undefined) sent.into = into
  }

  /** The tensor of an output is whole. Returns the header that was told for it: another object, where it came twice. */
  whole(output: Output): Output {
    const sent = this.#sentFor(output)
    if (sent === undefined) return output
    sent.whole = true
    this.#forget(output.lengths.committed)
    return sent.header ?? output
  }

  /** What the server may not have heard, in the order in which it is said. */
  *again({ epoch, nextStep, lengths }: Pick<Resumed, 'epoch' | 'nextStep' | 'lengths'>): Generator<SentAgain> {
    if (epoch === this.#before?.epoch) {
      for (const sent of this.#before.steps)
        if (sent.header !== null && sent.end > lengths.committed) yield* proofsOf(sent)
    } else this.begun()
    if (epoch !== this.#epoch) return
    this.#forget(lengths.committed)
    for (const sent of this.#steps) {
      if (sent.step < nextStep && sent.end <= lengths.committed) continue
      if (sent.step >= nextStep && sent.bytes === null) yield { kind: 'step', value: sent.value, bytes: null }
      yield* proofsOf(sent)
    }
  }

  #find(step: number): Sent | undefined {
    return this.#steps.findLast(sent => sent.step === step)
  }

  #sentFor({ epoch, step, replay }: Output): Sent | undefined {
    return replay || epoch !== this.#epoch ? undefined : this.#find(step)
  }

  #forget(committed: number): void {
    for (let [first] = this.#steps; first?.whole === true && first.end <= committed; [first] = this.#steps)
      this.#steps.shift()
  }
}

/** The step's bytes, where they were sent, and the digest of them, where that was. */
function* proofsOf({ value, step, bytes, digest }: Sent): Generator<SentAgain> {
  if (bytes !== null) yield { kind: 'step', value, bytes }
  if (digest !== null) yield { kind: 'verify', value: { epoch: value.epoch ?? 0, step, digest } }
}
