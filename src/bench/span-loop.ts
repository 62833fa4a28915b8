import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import { silentLogger } from '../base/index.ts'
import type { SpanGraph } from '../model/index.ts'
import { loadSpan } from '../runtime/index.ts'

export interface LoopFigures {
  readonly tokens: number
  readonly runs: number
  /** Of all runs. */
  readonly longestRunMs: number
  /** The longest time that the event loop did not turn while runs were in flight. */
  readonly longestGapMs: number
  /** The same while nothing was, for as long: what the machine does to any event loop. */
  readonly idleGapMs: number
}

const samplingMs = 1

/** Watches the event loop during `runs` prefills of `tokens` tokens each. */
export async function watchEventLoop(
  graph: SpanGraph,
  { tokens, runs, threads }: { tokens: number; runs: number; threads: number }
): Promise<LoopFigures> {
  const init = { slots: 1, maxLength: tokens, chunkTokens: tokens, threads, logger: silentLogger }
  const runner = await loadSpan(graph, init)
  const values = tokens * graph.hiddenSize
  const run = { slot: 0, position: 0, input: new Float32Array(values).fill(0.5), output: new Float32Array(values) }
  let longestRunMs = 0
  let totalMs = 0
  const longestGapMs = await longestGapDuring(async () => {
    for (let i = 0; i < runs; i++) {
      const start = performance.now()
      await runner.prefill(run)
      const ms = performance.now() - start
      longestRunMs = Math.max(longestRunMs, ms)
      totalMs += ms
      runner.release(0)
    }
  })
  await runner.close()
  return { tokens, runs, longestRunMs, longestGapMs, idleGapMs: await longestGapDuring(() => setTimeout(totalMs)) }
}

async function longestGapDuring(work: () => Promise<unknown>): Promise<number> {
  const delays = monitorEventLoopDelay({ resolution: samplingMs })
  delays.enable()
  await work()
  delays.disable()
  return delays.max / 1e6
}
