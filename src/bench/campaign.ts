import { CancelledError } from '../base/index.ts'
import type { Child } from './child.ts'
import type { ClientCalls, Trial, TrialOutcome, Variant } from './client/client-calls.ts'
import { interleave } from './order.ts'
import type { SamplesFile } from './samples.ts'

/** All runs of one variant; run number i of every variant was in the same round. */
export interface VariantRuns {
  readonly variant: Variant
  readonly outcomes: readonly TrialOutcome[]
}

export interface CampaignInit {
  readonly variants: readonly Variant[]
  readonly promptIds: readonly number[]
  /** To generate, a run. */
  readonly tokens: number
  readonly runs: number
  /** Rounds before those that count. */
  readonly warmup: number
  readonly seed: number
  readonly samples: SamplesFile | null
  readonly signal?: AbortSignal | undefined
  readonly onProgress: (what: string) => void
}

/** Runs every variant as often as asked, interleaved in seeded order, one generation over fresh sessions at a time. */
export async function runVariants(client: Child<ClientCalls>, init: CampaignInit): Promise<VariantRuns[]> {
  const { variants, promptIds, tokens, runs, warmup, seed, samples, signal } = init
  const outcomes = new Map<Variant, TrialOutcome[]>(variants.map(variant => [variant, []]))
  const trials = interleave(variants, warmup + runs, seed)
  for (const [i, { variant, run: round }] of trials.entries()) {
    if (signal?.aborted === true) throw new CancelledError('the benchmark')
    const { servers, route, verify } = variant
    init.onProgress(`run ${i + 1} of ${trials.length}: ${servers} servers, ${route}, ${verify}`)
    const outcome = await client.ask('generate', { ...variant, promptIds, tokens })
    if (round < warmup) continue
    outcomes.get(variant)?.push(outcome)
    await samples?.add({ servers, route, verify, run: round - warmup, ...outcome })
  }
  return [...outcomes].map(([variant, outcomes]) => ({ variant, outcomes }))
}

/** The runs that did not fail. */
export function succeeded(outcomes: readonly TrialOutcome[]): Trial[] {
  return outcomes.filter((outcome): outcome is Trial => outcome.failed === null)
}
