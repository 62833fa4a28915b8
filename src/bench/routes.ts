import type { RouteName } from '../client/index.ts'
import { openModel } from '../model/index.ts'
import type { VerifyPolicyName } from '../wire/index.ts'
import { runVariants, succeeded, type VariantRuns } from './campaign.ts'
import type { Variant } from './client/client-calls.ts'
import { atLeast, atMost, type Criterion } from './criteria.ts'
import { floorOf, timeSpans } from './floors.ts'
import { Laboratory, type LaboratoryInit } from './laboratory.ts'
import { evenSpans } from './nodes.ts'
import type { BenchReport, VariantResult } from './report.ts'
import { resultOf, steps } from './results.ts'
import { bootstrapInterval, mean } from './statistics.ts'

export interface RoutesInit extends Omit<LaboratoryInit, 'spans'> {
  /** @default 'routes' */
  readonly command?: string
  /** To start, where no peers are given. */
  readonly servers: number
  readonly routes: readonly RouteName[]
  /** By push; other routes have one way of verifying. */
  readonly verify: readonly VerifyPolicyName[]
  readonly promptTokens: number
  /** To generate, a run. */
  readonly tokens: number
  readonly runs: number
  readonly warmup: number
  readonly onProgress: (what: string) => void
}

const limits = { ofFloor: 1.05, verification: 1.02, pushesUsed: 0.99 }

/** The routes and verify policies side by side, in one run, over the same servers and links. */
export async function benchRoutes(init: RoutesInit): Promise<BenchReport> {
  const { blocks } = (await openModel(init.model)).spec
  init.onProgress('starting servers')
  return Laboratory.with({ ...init, spans: evenSpans(blocks, init.servers) }, async laboratory => {
    const chain = await laboratory.connect()
    const variants = variantsOf(init, chain.chain, chain.servers.length)
    init.onProgress('timing each span alone')
    const computeMs = await timeSpans(laboratory, chain, init)
    const runs = await runVariants(laboratory.client, {
      ...init,
      variants,
      promptIds: laboratory.prompt(init.promptTokens),
      samples: laboratory.samples
    })
    const measured = await laboratory.measureLinks()
    const bandwidth = init.shape?.bandwidth ?? null
    const floor = floorOf(laboratory, { chain, computeMs, runs, measured, bandwidth })
    const results = runs.map(of => resultOf(of, floor, init.seed))
    const criteria = init.peers === undefined ? judge(runs, results, init.seed) : []
    return laboratory.report(measured, { command: init.command ?? 'routes', results, criteria })
  })
}

/** Only by push is there something to verify in several ways. */
export function variantsOf(
  { routes, verify }: Pick<RoutesInit, 'routes' | 'verify'>,
  chain: number,
  servers: number
): Variant[] {
  return routes.flatMap((route): Variant[] =>
    route === 'push'
      ? verify.map(how => ({ chain, servers, route, verify: how }))
      : [{ chain, servers, route, verify: 'auto' }]
  )
}

function judge(runs: readonly VariantRuns[], results: readonly VariantResult[], seed: number): Criterion[] {
  const ofFloors = results.map(({ route, verify, stepMs, routeFloorMs, ci95 }) => {
    const of = (ms: number | null | undefined): number | null =>
      ms == null || routeFloorMs === null ? null : ms / routeFloorMs
    const [low, high] = [of(ci95?.[0]), of(ci95?.[1])]
    const interval = low === null || high === null ? null : ([low, high] as const)
    return atMost(`${route}, ${verify}: step over its floor`, limits.ofFloor, of(stepMs.mean), interval)
  })
  const used = results.flatMap(({ route, verify, pushesUsed }) =>
    route === 'push' && pushesUsed !== null
      ? [
          atLeast(
            `${route}, ${verify}: share of steps after the first that use the push`,
            limits.pushesUsed,
            pushesUsed
          )
        ]
      : []
  )
  return [...ofFloors, ...verification(runs, seed), ...used]
}

/** Paired by round: what slowed a round down slowed down both. */
function verification(runs: readonly VariantRuns[], seed: number): Criterion[] {
  const of = (verify: VerifyPolicyName) =>
    runs.find(({ variant }) => variant.route === 'push' && variant.verify === verify)
  const [auto, none] = [of('auto'), of('none')]
  if (auto === undefined || none === undefined) return []
  const rounds = auto.outcomes.map((outcome, i) => ({ auto: outcome, none: none.outcomes[i] ?? outcome }))
  const cost = (some: typeof rounds): number | null => {
    const verified = mean(steps(succeeded(some.map(round => round.auto))))
    const bare = mean(steps(succeeded(some.map(round => round.none))))
    return verified === null || bare === null ? null : verified / bare
  }
  const interval = bootstrapInterval(rounds, some => cost([...some]), seed)
  return [atMost('push: step verified by auto over one not verified', limits.verification, cost(rounds), interval)]
}
