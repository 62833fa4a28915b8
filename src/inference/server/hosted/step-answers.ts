import type { Session } from '../../../session/index.ts'
import { Want } from '../../../wire/index.ts'
import type { StatesBuffer } from '../../buffers.ts'
import type { Race } from '../../race/race.ts'
import type { StepRecord } from '../../race/step-record.ts'
import type { NextServer } from '../push/next-server.ts'
import type { DelegatedRoute } from '../route/delegated-route.ts'
import { type Answer, type AnswerComponents, answerStep, delegatedAnswer, type Standing } from './answer.ts'
import type { StepNotes } from './step-notes.ts'

type Record = StepRecord<StatesBuffer>

export interface StepAnswersInit {
  readonly session: Session
  readonly race: Race<StatesBuffer>
  readonly next: NextServer
}

/** The answers of one session: each is made once, and kept as long as its step is, to be sent again. */
export class StepAnswers {
  /** The servers after this one, where the owner left them to this node. */
  route: DelegatedRoute | null = null
  readonly #components: AnswerComponents
  readonly #init: StepAnswersInit
  readonly #answers = new WeakMap<Record, Answer>()

  constructor(components: AnswerComponents, init: StepAnswersInit) {
    this.#components = components
    this.#init = init
  }

  of(record: Record): Answer | undefined {
    return this.#answers.get(record)
  }

  /** What the session stands at; with a route, all its servers together. */
  get counts(): Pick<Standing, 'lengths' | 'pushes'> {
    const { lengths, pushes } = this.#init.race
    if (this.route === null) return { lengths, pushes }
    return {
      lengths: { ...lengths, committed: Math.min(lengths.committed, this.route.committed) },
      pushes: this.route.pushes
    }
  }

  /** Signs and pushes on what a step computed; then its answer is there. */
  make(record: Record, notes: StepNotes): void {
    this.#answers.set(record, this.#answer(record, notes))
  }

  /** The owner left the rest of the route to this node: the answer is that of the last server. */
  async makeThrough(route: DelegatedRoute, record: Record, notes: StepNotes): Promise<void> {
    const own = this.#answer({ ...record, want: Want.tensor }, notes)
    const want = record.want === Want.none ? 'none' : 'last'
    const result = await route.run({ position: record.position, n: record.n, want }, notes.output.bytes)
    const { clock, ledger } = this.#components
    ledger.bytesOut += notes.output.bytes.length
    this.#answers.set(record, delegatedAnswer(own, result, this.#standing(record), clock.now()))
  }

  #answer(record: Record, notes: StepNotes): Answer {
    const { session, next } = this.#init
    return answerStep(this.#components, { session, next, record, notes }, this.#standing(record))
  }

  #standing({ epoch }: Record): Standing {
    const { race } = this.#init
    return { ...this.counts, stale: () => epoch < race.epoch }
  }
}
