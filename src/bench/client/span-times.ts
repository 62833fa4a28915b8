import type { Candidate } from '../../client/index.ts'
import { openSession, type OpenSessionComponents, type SpanSession } from '../../inference/index.ts'
import { type Output, Want } from '../../wire/index.ts'

export interface SpanTimesInit {
  readonly server: Candidate
  readonly modelDigest: Uint8Array
  readonly hiddenSize: number
  /** Tokens in the cache at the middle of what is timed. */
  readonly past: number
  readonly steps: number
}

const warmupSteps = 4
/** Tokens a step of the prefill; their output is not asked for. */
const prefillTokens = 64

/** Decode steps of one server, alone, in ms of its own clock: computation only. */
export async function timeSpan(components: OpenSessionComponents, init: SpanTimesInit): Promise<number[]> {
  const { server, modelDigest, hiddenSize, past, steps } = init
  const first = Math.max(1, past - Math.floor(steps / 2) - warmupSteps)
  const { target, from, to } = server
  const session = await openSession(components, {
    ...{ peer: target, modelDigest, from, to, verify: 'none' },
    maxLength: first + warmupSteps + steps,
    maxTensorBytes: 0
  })
  const stepper = new Stepper(session, hiddenSize)
  try {
    for (let left = first; left > 0; left -= prefillTokens) await stepper.step(Math.min(left, prefillTokens))
    for (let i = 0; i < warmupSteps; i++) await stepper.step(1)
    const times: number[] = []
    for (let i = 0; i < steps; i++) times.push(await stepper.step(1))
    return times
  } finally {
    await session.close()
  }
}

/** Sends steps of a session one at a time. */
class Stepper {
  readonly #session: SpanSession
  readonly #hiddenSize: number
  #step = 0
  #position = 0

  constructor(session: SpanSession, hiddenSize: number) {
    this.#session = session
    this.#hiddenSize = hiddenSize
  }

  /** @returns ms of computation */
  async step(n: number): Promise<number> {
    const answered = new Promise<Output>((resolve, reject) => {
      this.#session.listen({
        onOutput(output) {
          resolve(output)
          return null
        },
        onTensor: () => undefined,
        onNeedCopy: () => undefined,
        onMismatch: () => undefined,
        onEnd: reject
      })
    })
    // Hidden states of order one, as a model's are: denormal numbers would be slow.
    const input = new Float32Array(n * this.#hiddenSize).fill(0.5)
    const request = { epoch: 0, step: this.#step, position: this.#position, n, want: Want.none }
    this.#session.step(request, new Uint8Array(input.buffer))
    this.#step++
    this.#position += n
    const { stamps } = await answered
    return (stamps.computeEnd - stamps.computeStart) / 1e6
  }
}
