import type { SpanSession } from '../../inference/index.ts'
import { type Output, Want } from '../../wire/index.ts'

/** Tokens a step of a prefill; their output is not asked for. */
const prefillTokens = 64

/** Sends steps of a session one at a time; what they compute is not asked for. */
export class Stepper {
  readonly session: SpanSession
  readonly #hiddenSize: number
  #epoch = 0
  #step = 0
  #position = 0

  constructor(session: SpanSession, hiddenSize: number) {
    this.session = session
    this.#hiddenSize = hiddenSize
  }

  /** @returns the answer, as its header says it */
  async step(n: number): Promise<Output> {
    const answered = new Promise<Output>((resolve, reject) => {
      this.session.listen({
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
    const request = { epoch: this.#epoch, step: this.#step, position: this.#position, n, want: Want.none }
    this.session.step(request, new Uint8Array(input.buffer))
    this.#step++
    this.#position += n
    return answered
  }

  /** Runs so many tokens, a piece at a time. */
  async fill(tokens: number): Promise<void> {
    for (let left = tokens; left > 0; left -= prefillTokens) await this.step(Math.min(left, prefillTokens))
  }

  /** Cuts the session back to so many tokens. */
  async rewind(length: number): Promise<void> {
    await this.session.rewind({ epoch: ++this.#epoch, length, upstreamNone: true, nextNone: true })
    this.#step = 0
    this.#position = length
  }
}

/** What the span took for it, by the server's clock. */
export function computeMs({ stamps }: Output): number {
  return (stamps.computeEnd - stamps.computeStart) / 1e6
}

/** How long it was there before it was computed, by the server's clock. */
export function waitMs({ stamps }: Output): number {
  return (stamps.computeStart - stamps.copyReceived) / 1e6
}
