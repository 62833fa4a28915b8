import { type Step, Want } from '../../../wire/index.ts'
import { RequestError } from '../../errors.ts'
import type { ServerComponents } from '../facts.ts'
import type { NextServer } from '../push/next-server.ts'
import type { StepAnswers } from './step-answers.ts'
import type { StepInbox } from './step-inbox.ts'

export interface StepCheckComponents extends Pick<ServerComponents, 'facts' | 'limits'> {
  readonly inbox: StepInbox
  readonly next: NextServer
  readonly answers: StepAnswers
}

/** Whether a step can be served here at all; whether it is the next one is the race's to say. */
export class StepCheck {
  readonly #components: StepCheckComponents

  constructor(components: StepCheckComponents) {
    this.#components = components
  }

  /** Null where nothing is wrong with it and its `bytes` of tensor. */
  problemWith(step: Step, bytes: number): RequestError | null {
    const { facts, limits, inbox, next, answers } = this.#components
    if (bytes > 0 && bytes !== step.n * facts.hiddenSize * 4)
      return new RequestError('BAD_STEP', `${bytes} bytes for ${step.n} tokens of ${facts.hiddenSize} float32 each`)
    if (!inbox.fits(bytes))
      return new RequestError('FLOW', `more than ${limits.creditBytes} bytes of tensors under way at once`)
    if (step.want === Want.last && next.peerId !== null)
      return new RequestError('BAD_STEP', 'only the last row is wanted, but the next server needs all')
    if (answers.route !== null && (step.want === Want.tensor || step.replay || step.next !== null))
      return new RequestError('BAD_STEP', 'a delegated route takes plain steps, and answers with the last row or none')
    return null
  }
}
