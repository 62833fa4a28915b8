import type { ConnectedChain } from './client/client-calls.ts'
import { succeeded, type VariantRuns } from './campaign.ts'
import type { Laboratory } from './laboratory.ts'
import type { LinkReport } from './report.ts'
import type { ChainFloor } from './results.ts'
import { summarize } from './statistics.ts'

export interface FloorInit {
  readonly chain: ConnectedChain
  /** Of each server, from `timeSpans`, ms. */
  readonly computeMs: readonly number[]
  /** Of this chain. */
  readonly runs: readonly VariantRuns[]
  readonly measured: LinkReport['measured']
  /** Bits a second of each link; null without a limit. */
  readonly bandwidth: number | null
}

/** Steps of each span that are timed alone. */
const spanSteps = 41

/** Each server's computation of one decode step, alone, in the middle of what a run computes, ms. */
export async function timeSpans(
  { client }: Laboratory,
  { chain }: ConnectedChain,
  { promptTokens, tokens }: { promptTokens: number; tokens: number }
): Promise<number[]> {
  const past = promptTokens + Math.floor(tokens / 2)
  const { computeMs } = await client.ask('timeSpans', { chain, past, steps: spanSteps })
  return computeMs.map(times => summarize(times).p50 ?? Number.NaN)
}

/**
 * The floor of a chain from parts that were measured alone: each span's median step, echoes over the links, and the
 * median of the client's own part of a step, which is never computed beside anything else.
 */
export function floorOf({ model }: Laboratory, init: FloorInit): ChainFloor {
  const { chain, computeMs, runs, measured, bandwidth } = init
  const clientMs = runs.flatMap(({ outcomes }) => succeeded(outcomes)).flatMap(run => run.clientMs)
  const oneWayMs = oneWay(measured)
  // Over links of others, the client's pings tell of its own legs only.
  const legMs = (server: number): number => (chain.servers[server - 1]?.pingMs ?? Number.NaN) / 2
  return {
    betweenServers: oneWayMs !== null,
    parts: {
      servers: chain.servers.length,
      oneWayMs: (from, to) => oneWayMs ?? legMs(Math.max(from, to)),
      computeMs,
      clientMs: summarize(clientMs).p50 ?? 0,
      stepBytes: model.spec.hiddenSize * Float32Array.BYTES_PER_ELEMENT,
      bandwidth
    }
  }
}

/** D: what was echoed before and after, in the mean. */
function oneWay(measured: LinkReport['measured']): number | null {
  return measured === null ? null : (measured.before.oneWayMs + measured.after.oneWayMs) / 2
}
