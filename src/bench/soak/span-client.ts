import { silentLogger, systemClock, TimeoutError } from '../../base/index.ts'
import { askInfo, openSession, type SpanSession } from '../../inference/index.ts'
import type { Network } from '../../network/index.ts'
import { type Info, Want } from '../../wire/index.ts'

/** A server answered with other hidden states than before: a fault of its own, whatever the network does. */
export class WrongStatesError extends Error {
  override readonly name = 'WrongStatesError'
}

/** The longest session of a soak, in tokens. */
const MAX_STEPS = 4

/** Calls sessions of one server, and holds what it answers to what it answered first. */
export class SpanClient {
  readonly #info: Info
  readonly #expected: Uint8Array[] = []

  private constructor(info: Info) {
    this.#info = info
  }

  /** Learns what the server serves, and answers. */
  static async of(network: Network, address: string, timeoutMs: number): Promise<SpanClient> {
    const client = new SpanClient(await askInfo(network, address))
    await client.call(network, address, { steps: MAX_STEPS, timeoutMs, onAnswer: () => undefined })
    return client
  }

  /** A session of so many tokens. @throws WrongStatesError, TimeoutError, and what breaks the session */
  async call(
    network: Network,
    address: string,
    { steps, timeoutMs, onAnswer }: { steps: number; timeoutMs: number; onAnswer: () => void }
  ): Promise<void> {
    const { modelDigest, from, to, hiddenSize } = this.#info
    const span = { modelDigest, from, to, maxLength: MAX_STEPS, maxTensorBytes: 4 * hiddenSize }
    const session = await openSession(
      { network, logger: silentLogger, clock: systemClock },
      { ...span, peer: address, verify: 'copy', timeoutMs }
    )
    try {
      for (let step = 0; step < steps; step++) {
        const answer = await answerOf(session, step, this.#input(step), timeoutMs)
        const expected = (this.#expected[step] ??= answer)
        if (Buffer.compare(expected, answer) !== 0) throw new WrongStatesError(`step ${step} was answered differently`)
        onAnswer()
      }
    } finally {
      await session.close()
    }
  }

  /** float32 [1, hidden]. */
  #input(step: number): Uint8Array {
    const states = Float32Array.from({ length: this.#info.hiddenSize }, (_, i) => Math.sin(i + 100 * step))
    return new Uint8Array(states.buffer)
  }
}

function answerOf(session: SpanSession, step: number, input: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new TimeoutError('a step', timeoutMs)), timeoutMs)
    session.listen({
      onOutput: (_, bytes) => new Uint8Array(bytes),
      onTensor: (_, tensor) => {
        clearTimeout(timer)
        resolve(tensor)
      },
      onNeedCopy: () => undefined,
      onMismatch: () => undefined,
      onEnd: error => {
        clearTimeout(timer)
        reject(error)
      }
    })
    session.step({ step, position: step, n: 1, want: Want.tensor }, input)
  })
}
