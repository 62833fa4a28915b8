import { CancelledError } from '../base/index.ts'
import { openModel } from '../model/index.ts'
import { succeeded } from './campaign.ts'
import type { Arrivals, LoadOutcome, LoadSample, Variant } from './client/client-calls.ts'
import { Laboratory } from './laboratory.ts'
import { evenSpans } from './nodes.ts'
import { interleave } from './order.ts'
import type { LoadReport, LoadResult } from './report.ts'
import { resultOf } from './results.ts'
import { type RoutesInit, variantsOf } from './routes.ts'
import { bootstrapInterval, mean, summarize } from './statistics.ts'

export interface LoadInit extends Omit<RoutesInit, 'command'> {
  readonly arrivals: Arrivals
  /** In each run. */
  readonly requests: number
}

/** Sessions of own servers under an open load; requests beyond wait there, as they would anywhere. */
const openSessions = 16

/** Several generations at a time over one chain: how long a request takes, and how many tokens come out. */
export async function benchLoad(init: LoadInit): Promise<LoadReport> {
  const { arrivals, seed, requests, tokens, onProgress } = init
  const { blocks } = (await openModel(init.model)).spec
  const maxSessions = arrivals.kind === 'closed' ? Math.max(8, arrivals.concurrency) : openSessions
  onProgress('starting servers')
  return Laboratory.with({ ...init, maxSessions, spans: evenSpans(blocks, init.servers) }, async laboratory => {
    const chain = await laboratory.connect()
    const variants = variantsOf(init, chain.chain, chain.servers.length)
    const promptIds = laboratory.prompt(init.promptTokens)
    const outcomes = new Map<Variant, LoadOutcome[]>(variants.map(variant => [variant, []]))
    const trials = interleave(variants, init.warmup + init.runs, seed)
    for (const [i, { variant, run: round }] of trials.entries()) {
      if (init.signal?.aborted === true) throw new CancelledError('the benchmark')
      const { servers, route, verify } = variant
      onProgress(`run ${i + 1} of ${trials.length}: ${requests} requests, ${route}, ${verify}`)
      // Every variant of a round meets the same arrivals.
      const load = { ...variant, promptIds, tokens, arrivals, requests, seed: seed + round }
      const outcome = await laboratory.client.ask('load', load)
      if (round < init.warmup) continue
      outcomes.get(variant)?.push(outcome)
      for (const { outcome: request, ...times } of outcome.samples)
        await laboratory.samples?.add({ servers, route, verify, run: round - init.warmup, ...times, ...request })
    }
    const measured = await laboratory.measureLinks()
    const results = [...outcomes].map(([variant, runs]) => loadResult(variant, runs, seed))
    return laboratory.report(measured, { command: 'load', results, criteria: [], arrivals })
  })
}

function loadResult(variant: Variant, runs: readonly LoadOutcome[], seed: number): LoadResult {
  const samples = runs.flatMap(run => run.samples)
  const outcomes = samples.map(({ outcome }) => outcome)
  const perRequest = (of: (run: LoadOutcome) => number): number => sum(runs.map(of)) / Math.max(1, samples.length)
  return {
    ...resultOf({ variant, outcomes }, null, seed),
    bytesUp: perRequest(run => run.bytesUp),
    bytesDown: perRequest(run => run.bytesDown),
    latencyMs: summarize(latencies(samples)),
    // Requests of one run wait for each other: whole runs are drawn.
    latencyCi95: bootstrapInterval(runs, some => mean(latencies(some.flatMap(run => run.samples))), seed),
    firstTokenMs: summarize(samples.flatMap(({ firstTokenMs }) => firstTokenMs ?? [])),
    tokensPerSecond: (1000 * tokensOf(outcomes)) / sum(runs.map(run => run.elapsedMs))
  }
}

function latencies(samples: readonly LoadSample[]): number[] {
  return samples.filter(({ outcome }) => outcome.failed === null).map(({ latencyMs }) => latencyMs)
}

/** One more than there are gaps between them. */
function tokensOf(outcomes: Parameters<typeof succeeded>[0]): number {
  return sum(succeeded(outcomes).map(({ gapMs }) => gapMs.length + 1))
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
