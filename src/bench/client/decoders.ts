import type { Candidate } from '../../client/index.ts'
import { openSession, type OpenSessionComponents } from '../../inference/index.ts'
import type { Output } from '../../wire/index.ts'
import type { DelayRequest, DelayTimes } from './client-calls.ts'
import { computeMs, Stepper, waitMs } from './stepper.ts'

export interface DecodersInit {
  readonly server: Candidate
  readonly modelDigest: Uint8Array
  readonly hiddenSize: number
  readonly sessions: number
  /** Tokens in each cache before a step. */
  readonly past: number
  /** Tokens that a session must be able to hold. */
  readonly maxLength: number
}

/** Steps of one session alone before those that count. */
const warmupSteps = 3

/** Sessions on one server that decode at the same time: each sends its next token when it has the answer to the last. */
export class Decoders {
  readonly #steppers: readonly Stepper[]
  readonly #past: number

  private constructor(steppers: readonly Stepper[], past: number) {
    this.#steppers = steppers
    this.#past = past
  }

  static async open(components: OpenSessionComponents, init: DecodersInit): Promise<Decoders> {
    const { server, modelDigest, hiddenSize, sessions, past, maxLength } = init
    const { target, from, to } = server
    const opening = { peer: target, modelDigest, from, to, verify: 'none' as const, maxLength, maxTensorBytes: 0 }
    const steppers: Stepper[] = []
    for (let i = 0; i < sessions; i++) {
      const stepper = new Stepper(await openSession(components, opening), hiddenSize)
      await stepper.fill(past)
      steppers.push(stepper)
    }
    return new Decoders(steppers, past)
  }

  /** ms that so many of the sessions take for `steps` steps each. */
  async decode(sessions: number, steps: number): Promise<number> {
    const some = this.#steppers.slice(0, sessions)
    await Promise.all(some.map(stepper => stepper.rewind(this.#past)))
    for (let i = 0; i < warmupSteps; i++) await Promise.all(some.map(stepper => stepper.step(1)))
    const start = performance.now()
    await Promise.all(
      some.map(async stepper => {
        for (let i = 0; i < steps; i++) await stepper.step(1)
      })
    )
    return performance.now() - start
  }

  /** How long the steps of one session wait while another one's long prompt is computed. */
  async delays({ tokens, chunkTokens }: Omit<DelayRequest, 'decoders'>): Promise<DelayTimes> {
    const [decoder, long] = this.#steppers
    if (decoder === undefined || long === undefined) throw new RangeError('a delay takes two sessions')
    await Promise.all([decoder.rewind(this.#past), long.rewind(0)])
    const chunkMs: number[] = []
    for (let left = tokens; left > 0; left -= chunkTokens)
      chunkMs.push(computeMs(await long.step(Math.min(left, chunkTokens))))
    await long.rewind(0)
    for (let i = 0; i < warmupSteps; i++) await decoder.step(1)
    let over = false
    const prefill = long.step(tokens).finally(() => {
      over = true
    })
    const steps: Output[] = []
    while (!over) steps.push(await decoder.step(1))
    const { stamps } = await prefill
    // Whatever came when the prompt had not begun, or was done, waited for nothing of it.
    const between = steps.filter(
      ({ stamps: of }) => of.computeStart > stamps.computeStart && of.computeEnd < stamps.computeEnd
    )
    return { chunkMs, waitMs: between.map(waitMs), between: between.length }
  }

  async close(): Promise<void> {
    await Promise.all(this.#steppers.map(({ session }) => session.close()))
  }
}
