import { buildSpanGraph, type Model } from '../model/index.ts'
import { type BareDecode, hostDevice, loadBareDecode } from '../runtime/index.ts'
import type { Child } from './child.ts'
import type { ClientCalls } from './client/client-calls.ts'
import { bootstrapInterval, type Interval, mean } from './statistics.ts'

export interface BatchInit {
  /** Number of the client's decoders. */
  readonly decoders: number
  readonly sessions: number
  /** Of each, in a round. */
  readonly steps: number
  readonly past: number
  readonly rounds: number
  readonly seed: number
  readonly onProgress: (what: string) => void
}

/** ms of one step: of one session by itself, and of all together. */
interface StepTimes {
  readonly one: number
  readonly all: number
}

export interface BatchFigures {
  readonly sessions: number
  /** Means over rounds. */
  readonly server: StepTimes
  readonly bare: StepTimes
  /** How many times more tokens in the same time, of the server and of ONNX Runtime alone. */
  readonly serverGain: number
  readonly bareGain: number
  /** The one over the other, paired by round. */
  readonly share: { readonly value: number | null; readonly ci95: Interval | null }
}

interface Round {
  readonly server: StepTimes
  readonly bare: StepTimes
}

/**
 * What a server gains by computing the steps of several sessions together, beside what ONNX Runtime alone gains with the
 * same graph and as many rows: in turns, so that whatever else the machine does meets both alike.
 */
export async function measureBatch(client: Child<ClientCalls>, model: Model, init: BatchInit): Promise<BatchFigures> {
  const { decoders, sessions, steps, past, rounds, seed, onProgress } = init
  const at = past + Math.floor(steps / 2)
  const graph = buildSpanGraph(model, { from: 0, to: model.spec.blocks }, { maxLength: at + 1 })
  const one = await loadBareDecode(graph, { past: at, threads: 1, device: hostDevice })
  const all = await loadBareDecode(graph, { past: at, threads: 1, rows: sessions, device: hostDevice })
  const bare = (decode: BareDecode): number => {
    const start = performance.now()
    decode.steps(steps)
    return (performance.now() - start) / steps
  }
  const measured: Round[] = []
  // The first warms up.
  for (let round = 0; round <= rounds; round++) {
    onProgress(`${sessions} decoders, round ${round} of ${rounds}`)
    const decode = async (count: number): Promise<number> =>
      (await client.ask('decode', { decoders, sessions: count, steps })) / steps
    const figures = {
      server: { one: await decode(1), all: await decode(sessions) },
      bare: { one: bare(one), all: bare(all) }
    }
    if (round > 0) measured.push(figures)
  }
  await Promise.all([one.close(), all.close()])
  const gain = ({ one, all }: StepTimes): number => (sessions * one) / all
  const share = (some: readonly Round[]): number | null =>
    mean(some.map(({ server, bare }) => gain(server) / gain(bare)))
  const times = (of: 'server' | 'bare'): StepTimes => ({
    one: mean(measured.map(round => round[of].one)) ?? Number.NaN,
    all: mean(measured.map(round => round[of].all)) ?? Number.NaN
  })
  return {
    sessions,
    server: times('server'),
    bare: times('bare'),
    serverGain: gain(times('server')),
    bareGain: gain(times('bare')),
    share: { value: share(measured), ci95: bootstrapInterval(measured, share, seed) }
  }
}
