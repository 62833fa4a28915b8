import type { HopTrace, PassTrace } from '../inference/index.ts'
import { notPushedNames, type Output, type Pushes } from '../wire/index.ts'
import { type Distribution, distribution, mean, sum } from './distribution.ts'

/** One decode step as the client timed it, its own work included. */
export interface TimedStep {
  readonly pass: PassTrace
  /** From the token to be embedded to the next one sampled, ms. */
  readonly stepMs: number
  /** Of that, embedding, head and sampling, ms. */
  readonly clientMs: number
}

export interface HopFigures {
  readonly peerId: string
  readonly blocks: readonly [from: number, to: number]
  /** Means a decode step, ms. */
  readonly computeMs: number
  /** From the input's arrival to the start of its computation. */
  readonly queueMs: number
  /** From the end of the computation to the output's hand-over. */
  readonly otherMs: number
  /** The leg to this server, for the last one with the leg back: a split of the loop by the least pings, assuming symmetry. */
  readonly networkMs: number
  /** By how much asymmetric links could make `networkMs` wrong, either way. */
  readonly networkErrorMs: number
  /** How much longer the loop is through this server than through the one before. */
  readonly detourMs: number
  /** Least round trip between the client and this server; null where it was not measured. */
  readonly pingMs: number | null
}

export interface PushFigures extends Pushes {
  readonly sent: number
  readonly lost: number
  readonly dropped: number
}

export interface LatencyFigures {
  readonly msPerToken: Distribution
  readonly stepMs: Distribution
  readonly tokensPerSecond: number | null
  readonly clientMs: number | null
  readonly hops: readonly HopFigures[]
  readonly unaccountedMs: number | null
  readonly floorMs: number | null
  readonly routeFloorMs: number | null
  readonly floorRatio: number | null
  readonly floorBasis: 'minimum'
  readonly stalls: { readonly count: number; readonly longestMs: number; readonly totalMs: number }
}

/** A gap between tokens this many times the median is a stall. */
const STALL_FACTOR = 4

interface Residence {
  readonly computeMs: number
  readonly queueMs: number
  readonly otherMs: number
}

interface Leg extends Residence {
  readonly networkMs: number
  readonly detourMs: number
}

/**
 * What one generation's decode steps took, and where. Servers' clocks are not synchronized: their stamps only give
 * residences, and the network is what is left of a closed loop.
 *
 * @param steps that went through the same servers as the last one are broken down; all count for distributions
 * @param emittedMs when each token was emitted
 * @param pingMs least round trip of each server of the chain
 */
export function latencyFigures(
  steps: readonly TimedStep[],
  emittedMs: readonly number[],
  pingMs: ReadonlyMap<string, number>
): LatencyFigures {
  const gaps = emittedMs.slice(1).map((at, i) => at - (emittedMs[i] ?? at))
  const msPerToken = distribution(gaps)
  const stepMs = distribution(steps.map(step => step.stepMs))
  const last = steps.at(-1)?.pass
  const same = steps.filter(({ pass }) => last !== undefined && isSameChain(pass, last))
  const pings = (last?.hops ?? []).map(({ peerId }) => pingMs.get(peerId) ?? 0)
  const broken = same.map(({ pass }) => breakDown(pass, pings))
  const hops = (last?.hops ?? []).map((hop, i) =>
    hopFigures(
      hop,
      broken.flatMap(legs => legs[i] ?? []),
      networkErrorMs(last?.pushed ?? [], pings, i),
      pingMs.get(hop.peerId) ?? null
    )
  )
  const clientMs = mean(same.map(step => step.clientMs))
  const accounted = sum(hops.map(hop => hop.computeMs + hop.queueMs + hop.otherMs + hop.networkMs)) + (clientMs ?? 0)
  const floors = floorOf(same, broken)
  return {
    msPerToken,
    stepMs,
    tokensPerSecond: msPerToken.mean === null || msPerToken.mean === 0 ? null : 1000 / msPerToken.mean,
    clientMs,
    hops,
    unaccountedMs: stepMs.mean === null ? null : stepMs.mean - accounted,
    ...floors,
    floorRatio: stepMs.mean === null || floors.floorMs === null ? null : stepMs.mean / floors.floorMs,
    floorBasis: 'minimum',
    stalls: stallsOf(gaps)
  }
}

/**
 * Pushes in server-steps: those that the senders said they sent, and what became of them at the receivers. Where a
 * sender died before it could say, the receivers' word counts.
 */
export function pushFigures(passes: readonly PassTrace[], received: Pushes): PushFigures {
  let said = 0
  let dropped = 0
  for (const pass of passes) {
    for (const [i, hop] of pass.hops.entries()) {
      if (pass.pushed[i + 1] !== true || hop.output === null) continue
      if (hop.output.pushed.length > 0) said++
      else if (notPushedNames[hop.output.notPushed] !== 'NO_NEXT') dropped++
    }
  }
  const { used, late, ignored, mismatched } = received
  const arrived = used + late + ignored + mismatched
  const sent = Math.max(said, arrived)
  return { sent, used, late, ignored, mismatched, lost: sent - arrived, dropped }
}

function isSameChain(a: PassTrace, b: PassTrace): boolean {
  const name = (pass: PassTrace): string =>
    pass.hops.map((hop, i) => `${hop.peerId}${pass.pushed[i] === true ? '<' : ''}`).join()
  return name(a) === name(b)
}

/** Time that a step spent in one server, by that server's own clock. */
function residence({ stamps, usedPush }: Output, pushedOn: boolean): Residence {
  const received = usedPush ? stamps.pushReceived : stamps.copyReceived
  const left = pushedOn && stamps.pushQueued > 0 ? stamps.pushQueued : stamps.outputQueued
  return {
    queueMs: (stamps.computeStart - received) / 1e6,
    computeMs: (stamps.computeEnd - stamps.computeStart) / 1e6,
    otherMs: (left - stamps.computeEnd) / 1e6
  }
}

/**
 * Each hop's part of one pass. Where the edge to a server is pushed, the loop from the client through it and back is
 * `L(i) = output i's arrival - step sent - residences through i`; where the client relays, the loop begins anew.
 */
function breakDown(pass: PassTrace, pings: readonly number[]): Leg[] {
  const legs: Leg[] = []
  let sentMs = pass.startedMs
  let residences = 0
  let loopBefore = 0
  for (const [i, hop] of pass.hops.entries()) {
    if (hop.output === null) return []
    const last = i === pass.hops.length - 1
    const pushed = pass.pushed[i] === true
    const pushedOn = pass.pushed[i + 1] === true
    if (!pushed) {
      sentMs = hop.sentMs ?? pass.startedMs
      residences = 0
      loopBefore = 0
    }
    const inside = residence(hop.output, false)
    const onward = residence(hop.output, pushedOn)
    const arrival = (last || !pushedOn ? hop.tensorMs : hop.headerMs) ?? sentMs
    const loop = arrival - sentMs - residences - total(inside)
    residences += total(onward)
    const detourMs = loop - loopBefore
    const back = (pings[i] ?? 0) / 2
    const backBefore = pushed ? (pings[i - 1] ?? 0) / 2 : 0
    // The way back counts where the pass takes it: from the last server, and before a relayed edge.
    legs.push({ ...onward, detourMs, networkMs: detourMs + backBefore - (pushedOn ? back : 0) })
    loopBefore = loop
  }
  return pass.delegated === true ? evened(legs) : legs
}

/** Under delegate only the whole loop behind the first server is known: its network time in equal parts. */
function evened(legs: readonly Leg[]): Leg[] {
  const [first, ...rest] = legs
  if (first === undefined) return []
  const share = (value: (leg: Leg) => number): number => sum(rest.map(value)) / rest.length
  const part = { networkMs: share(leg => leg.networkMs), detourMs: share(leg => leg.detourMs) }
  return [first, ...rest.map(leg => ({ ...leg, ...part }))]
}

function total({ computeMs, queueMs, otherMs }: Residence): number {
  return computeMs + queueMs + otherMs
}

function networkErrorMs(pushed: readonly boolean[], pings: readonly number[], i: number): number {
  const back = pushed[i + 1] === true ? (pings[i] ?? 0) / 2 : 0
  const backBefore = pushed[i] === true ? (pings[i - 1] ?? 0) / 2 : 0
  return back + backBefore
}

function hopFigures(hop: HopTrace, legs: readonly Leg[], errorMs: number, pingMs: number | null): HopFigures {
  const average = (value: (leg: Leg) => number): number => mean(legs.map(value)) ?? 0
  return {
    peerId: hop.peerId,
    blocks: hop.blocks,
    computeMs: average(leg => leg.computeMs),
    queueMs: average(leg => leg.queueMs),
    otherMs: average(leg => leg.otherMs),
    networkMs: average(leg => leg.networkMs),
    networkErrorMs: errorMs,
    detourMs: average(leg => leg.detourMs),
    pingMs
  }
}

/** Least of the run: network, each span's compute, the client's part. By push it is known only where all edges are pushed. */
function floorOf(
  steps: readonly TimedStep[],
  broken: readonly (readonly Leg[])[]
): Pick<LatencyFigures, 'floorMs' | 'routeFloorMs'> {
  const whole = broken.filter(legs => legs.length > 0)
  const [first] = whole
  const pass = steps[0]?.pass
  if (first === undefined || pass === undefined) return { floorMs: null, routeFloorMs: null }
  const network = least(whole.map(legs => sum(legs.map(leg => leg.networkMs))))
  const compute = sum(first.map((_, i) => least(whole.map(legs => legs[i]?.computeMs ?? 0))))
  const pushedAll = pass.pushed.slice(1).every(Boolean)
  const routeFloorMs = network + compute + least(steps.map(step => step.clientMs))
  return { routeFloorMs, floorMs: pushedAll && pass.delegated !== true ? routeFloorMs : null }
}

function least(samples: readonly number[]): number {
  return samples.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
}

function stallsOf(gaps: readonly number[]): LatencyFigures['stalls'] {
  const sorted = gaps.toSorted((a, b) => a - b)
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0
  const stalls = gaps.filter(gap => gap > STALL_FACTOR * median)
  return { count: stalls.length, longestMs: Math.max(0, ...gaps), totalMs: sum(stalls) }
}
