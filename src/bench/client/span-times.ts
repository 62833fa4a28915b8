import type { Candidate } from '../../client/index.ts'
import { openSession, type OpenSessionComponents } from '../../inference/index.ts'
import { computeMs, Stepper } from './stepper.ts'

export interface SpanTimesInit {
  readonly server: Candidate
  readonly modelDigest: Uint8Array
  readonly hiddenSize: number
  /** Tokens in the cache at the middle of what is timed. */
  readonly past: number
  readonly steps: number
}

const warmupSteps = 4

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
    await stepper.fill(first)
    for (let i = 0; i < warmupSteps; i++) await stepper.step(1)
    const times: number[] = []
    for (let i = 0; i < steps; i++) times.push(computeMs(await stepper.step(1)))
    return times
  } finally {
    await session.close()
  }
}
