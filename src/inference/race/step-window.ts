import type { RefusalCode } from './race-types.ts'
import type { StepHeader, StepRecord } from './step-record.ts'

export interface StepWindowInit {
  /** Tokens that the session may hold. */
  readonly maxLength: number
  /** Steps that may be computed and not committed; of committed ones as many are kept. */
  readonly maxTentative: number
  /** Steps of the owner's that may be unanswered. */
  readonly maxOutstanding: number
}

/** Why a step cannot be taken on, for programs and for people. */
export type Refusal = readonly [code: RefusalCode, message: string]

/**
 * The steps of one epoch in order of position: which comes next, which is to be computed, which are committed. Committed
 * ones are kept a while, to answer repeats and late copies.
 *
 *     committed, the last few | computed, not committed | to be computed, one at a time
 *     0                 #committed                    #done                        length
 */
export class StepWindow<I> {
  readonly #init: StepWindowInit
  #records: StepRecord<I>[] = []
  /** Of the records, from the first on, so many are committed, and so many are computed. */
  #committed = 0
  #done = 0
  #committedTokens = 0
  #nextStep = 0
  #nextPosition = 0

  constructor(init: StepWindowInit) {
    this.#init = init
  }

  /** In order of position, the oldest first. */
  get records(): readonly StepRecord<I>[] {
    return this.#records
  }

  /** The first tokens of the session, those whose input is proven. */
  get committed(): number {
    return this.#committedTokens
  }

  /** The number of the next new step. */
  get nextStep(): number {
    return this.#nextStep
  }

  /** The step to compute next: the first that is not computed. Undefined where there is none, or too much is tentative. */
  get due(): StepRecord<I> | undefined {
    return this.#done - this.#committed < this.#init.maxTentative ? this.#records[this.#done] : undefined
  }

  /** Forgets all steps; those of a new epoch begin where so many tokens are committed. */
  begin(committed: number): void {
    this.#records = []
    this.#committed = 0
    this.#done = 0
    this.#committedTokens = committed
    this.#nextStep = 0
    this.#nextPosition = committed
  }

  /** The step of this header, where it is known: replays all have number 0, and are told apart by their positions. */
  find({ step, position, replay }: StepHeader): StepRecord<I> | undefined {
    if (!replay) return this.numbered(step)
    return this.#records.findLast(record => record.replay && record.position === position)
  }

  /** The ordinary step of this number. */
  numbered(step: number): StepRecord<I> | undefined {
    // Newest first: nearly always it is the last one.
    for (let i = this.#records.length - 1; i >= 0; i--) {
      const record = this.#records[i]
      if (record?.step === step && !record.replay) return record
    }
    return undefined
  }

  /** Why this is neither the next new step nor the `known` one, asked for as before; null where it is. */
  problemWith(header: StepHeader, known?: StepRecord<I>): Refusal | null {
    if (known !== undefined) return sameTokens(known, header)
    const [step, position] = [this.#nextStep, this.#nextPosition]
    const { maxLength, maxOutstanding } = this.#init
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
    if (end > maxLength) return ['LENGTH_EXCEEDED', `${end} tokens; this session holds ${maxLength} at most`]
    if (this.#records.length - this.#done >= maxOutstanding)
      return ['FLOW', `more than ${maxOutstanding} steps unanswered at once`]
    return null
  }

  /** The next new step, which {@link problemWith} found nothing wrong with. */
  add(record: StepRecord<I>): void {
    this.#records.push(record)
    this.#nextStep = record.replay ? 0 : record.step + 1
    this.#nextPosition = record.position + record.n
  }

  /** The step that was due is computed. */
  computed(): void {
    this.#done++
  }

  /** Commits in order what is computed and proven, and forgets the oldest beyond those that are kept. */
  commit(isProven: (record: StepRecord<I>) => boolean): void {
    while (this.#committed < this.#done) {
      const record = this.#records[this.#committed]
      if (record === undefined || !isProven(record)) return
      record.committed = true
      this.#committedTokens = record.position + record.n
      if (this.#committed < this.#init.maxTentative) this.#committed++
      else {
        this.#records.shift()
        this.#done--
      }
    }
  }
}

/** A step is not renamed: its number stands for the tokens that it was asked for first. */
function sameTokens({ step, position, n }: StepHeader, header: StepHeader): Refusal | null {
  if (header.position === position && header.n === n) return null
  const before = `${n} tokens at position ${position}`
  return ['BAD_STEP', `step ${step} was asked for as ${before}, not ${header.n} at ${header.position}`]
}
