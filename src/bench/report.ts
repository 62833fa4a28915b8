import type { Arrivals } from './client/client-calls.ts'
import type { Criterion } from './criteria.ts'
import type { LinkMeasurement } from './lab/measure.ts'
import type { LinkShape } from './lab/shape.ts'
import { describeMachine, type Machine, type Versions, versions } from './machine.ts'
import type { Interval, Summary } from './statistics.ts'

/** How the machines of a benchmark are joined. */
export interface LinkReport {
  /** `relay`: the user-space relay; `tun`: a kernel device; `none`: whatever is there. */
  kind: 'relay' | 'tun' | 'none'
  /** What was asked for, each way. */
  nominal: LinkShape
  /** Bare TCP echoes through the same shaper, before the runs and after them; null over links of others. */
  measured: { before: LinkMeasurement; after: LinkMeasurement } | null
  congestionControl: string
}

/** Said of loopback as it is. */
export const loopbackCongestionControl = "the kernel's, over loopback"
/** Said of links that are not the benchmark's own. */
export const foreignCongestionControl = 'as the nodes have it'
/** Said wherever figures came by way of the user-space relay. */
export const relayCongestionControl = 'hidden by the user-space relay'

/** One variant: all its runs together. Milliseconds and bytes. */
export interface VariantResult {
  servers: number
  route: string
  verify: string
  /** Runs that were tried. */
  runs: number
  /** Of them, those that failed: they are in no figure but this one. */
  failed: number
  /** One pass of one decode step through the chain. */
  stepMs: Summary
  /** Gaps between a run's tokens, from its second one on. */
  msPerToken: Summary
  /** 95% interval of `stepMs.mean` over runs; null for fewer than two that succeeded. */
  ci95: Interval | null
  /** Least time of a step by push over these servers; null where it was not measured. */
  floorMs: number | null
  /** `stepMs.mean / floorMs`. */
  floorRatio: number | null
  /** The same for the route that was used. */
  routeFloorMs: number | null
  /** At the client, a run. */
  bytesUp: number | null
  bytesDown: number | null
  /** Share of the server-steps after each run's first that used what was pushed; null where nothing is pushed. */
  pushesUsed: number | null
}

export const schema = 'andthen.bench/1'

export interface BenchReport {
  schema: typeof schema
  command: string
  seed: number
  /** ISO 8601. */
  startedAt: string
  versions: Versions
  machine: Machine
  model: { id: string; digest: string; weights: string; wire: string }
  /** Whether client and servers read one machine's clock. */
  clock: 'shared' | 'independent'
  link: LinkReport
  results: VariantResult[]
  /** What was promised, and whether it held. */
  criteria: readonly Criterion[]
}

/** One variant under a load: `runs` and `failed` count requests. Milliseconds. */
export interface LoadResult extends VariantResult {
  /** From a request's intended arrival to its last token. */
  latencyMs: Summary
  /** 95% interval of `latencyMs.mean` over runs of the load. */
  latencyCi95: Interval | null
  /** From a request's intended arrival to its first token. */
  firstTokenMs: Summary
  /** Of all requests together. */
  tokensPerSecond: number
}

export interface LoadReport extends BenchReport {
  arrivals: Arrivals
  results: LoadResult[]
}

/** Whom a flood of forged pushes goes to: a server of the chain, one that is in no chain, or there is none. */
export type FloodTarget = 'nobody' | 'bystander' | 'chain'

/** A generation beside a flood. */
export interface FloodResult extends VariantResult {
  flood: FloodTarget
  /** Mean step over that without a flood, rounds paired: what the flood takes of shared cores included. */
  overCalm: number | null
  /** Pushes that the flooder could send, and that the server counted as ignored; null without a flood. */
  sentPerSecond: number | null
  ignoredPerSecond: number | null
  /** Push streams of the flooder that the server ended or refused, all runs together. */
  streamsEnded: number | null
  /** Of the server that was, or might have been, flooded, all runs together. */
  cpuSeconds: number
}

export interface FloodReport extends BenchReport {
  /** Pushes tried, a second. */
  perSecond: number
  /** Resident memory of the flooded server before the first run that counts and after the last. */
  memory: { readonly beforeBytes: number; readonly afterBytes: number }
  results: FloodResult[]
}

/** The report of this machine and these versions. */
export function createReport(findings: Omit<BenchReport, 'schema' | 'versions' | 'machine'>): BenchReport {
  const { command, seed, startedAt, model, clock, link, results, criteria } = findings
  return {
    schema,
    command,
    seed,
    startedAt,
    versions: versions(),
    machine: describeMachine(),
    model,
    clock,
    link,
    results,
    criteria
  }
}
