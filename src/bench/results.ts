import { type FloorParts, floorMs } from '../client/index.ts'
import { succeeded, type VariantRuns } from './campaign.ts'
import type { Trial } from './client/client-calls.ts'
import type { VariantResult } from './report.ts'
import { bootstrapInterval, mean, summarize } from './statistics.ts'

/** The floor of one chain, its parts measured one by one; `links`: whether those between servers were, too. */
export interface ChainFloor {
  readonly parts: FloorParts
  readonly betweenServers: boolean
}

/** One variant's runs in figures. Failed runs are counted and in no other figure. */
export function resultOf({ variant, outcomes }: VariantRuns, floor: ChainFloor | null, seed: number): VariantResult {
  const { servers, route, verify } = variant
  const runs = succeeded(outcomes)
  const stepMs = summarize(steps(runs))
  const push = floor?.betweenServers === true ? floorMs('push', floor.parts) : null
  const own = floor !== null && (floor.betweenServers || route === 'relay') ? floorMs(route, floor.parts) : null
  const possible = total(runs, run => run.pushes.possible)
  return {
    servers,
    route,
    verify,
    runs: outcomes.length,
    failed: outcomes.length - runs.length,
    stepMs,
    msPerToken: summarize(runs.flatMap(run => run.gapMs)),
    ci95: bootstrapInterval(runs, some => mean(steps(some)), seed),
    floorMs: push,
    floorRatio: ratio(stepMs.mean, push),
    routeFloorMs: own,
    bytesUp: mean(runs.map(run => run.bytesUp)),
    bytesDown: mean(runs.map(run => run.bytesDown)),
    pushesUsed: possible === 0 ? null : total(runs, run => run.pushes.used) / possible
  }
}

export function steps(runs: readonly Trial[]): number[] {
  return runs.flatMap(run => run.stepMs)
}

function total(runs: readonly Trial[], of: (run: Trial) => number): number {
  return runs.reduce((sum, run) => sum + of(run), 0)
}

function ratio(value: number | null, of: number | null): number | null {
  return value === null || of === null ? null : value / of
}
