import { CancelledError, systemClock } from '../base/index.ts'
import { openModel } from '../model/index.ts'
import { succeeded } from './campaign.ts'
import { Child } from './child.ts'
import type { TrialOutcome, Variant } from './client/client-calls.ts'
import { atMost, type Criterion } from './criteria.ts'
import type { FloodCalls, FloodCounts, FloodRequest } from './flood/flood-calls.ts'
import { readServerMetrics } from './flood/server-metrics.ts'
import { Laboratory, type LaboratoryServer } from './laboratory.ts'
import { evenSpans } from './nodes.ts'
import { interleave } from './order.ts'
import { programUrl } from './program.ts'
import type { FloodReport, FloodResult, FloodTarget } from './report.ts'
import { resultOf, steps } from './results.ts'
import type { RoutesInit } from './routes.ts'
import { bootstrapInterval, mean } from './statistics.ts'

export interface FloodInit extends Omit<RoutesInit, 'command' | 'routes' | 'verify' | 'peers'> {
  /** Pushes of the flood, tried a second. */
  readonly perSecond: number
}

interface FloodRun {
  readonly outcome: TrialOutcome
  readonly flood: FloodCounts | null
  /** Of the server that was flooded, in this run. */
  readonly ignored: number
  readonly cpuSeconds: number
}

const limits = { ofBystander: 1.1, grownMiB: 16 }
/** For a garbage collection that was asked for. */
const collectMs = 500
const how = { route: 'push', verify: 'auto' } as const
const targets: readonly FloodTarget[] = ['nobody', 'bystander', 'chain']

/**
 * A live generation while a stranger floods a server of its chain with forged pushes, and, since a flood takes its part
 * of the machine wherever it goes, while the same flood goes to a server that is in no chain.
 */
export async function benchFlood(init: FloodInit): Promise<FloodReport> {
  const spans = evenSpans((await openModel(init.model)).spec.blocks, init.servers)
  const number = Math.floor(init.servers / 2)
  const span = spans[number] ?? { from: 0, to: 0 }
  init.onProgress('starting servers')
  const collecting = ['--expose-gc', '--import', programUrl('flood/collect-preload', import.meta.url).href]
  const servers = { ...init, serve: [...collecting, ...init.serve], spans: [...spans, span] }
  return Laboratory.with(servers, async laboratory => {
    const { perSecond, seed } = init
    const modelDigest = Buffer.from(await laboratory.model.digest()).toString('hex')
    const { runs, memory } = await runAll(laboratory, init, {
      ...{ number, bystander: spans.length },
      ...{ forgery: { modelDigest, ...span, hiddenSize: laboratory.model.spec.hiddenSize, perSecond } }
    })
    const results = targets.map(target => floodResult(init, target, runs, seed))
    const criteria = [slowdown(runs, seed), growth(memory)]
    const measured = await laboratory.measureLinks()
    return laboratory.report(measured, { command: 'flood', results, criteria, perSecond, memory })
  })
}

/** Which server of the laboratory is flooded, which one instead of it, and with what. */
interface Aim {
  readonly number: number
  readonly bystander: number
  readonly forgery: Omit<FloodRequest, 'target'>
}

type Runs = ReadonlyMap<FloodTarget, readonly FloodRun[]>

async function runAll(
  laboratory: Laboratory,
  init: FloodInit,
  { number, bystander, forgery }: Aim
): Promise<{ runs: Runs; memory: FloodReport['memory'] }> {
  const { servers, warmup, seed, signal, tokens } = init
  const { chain } = await laboratory.connect(Array.from({ length: servers }, (_, i) => i))
  const variant: Variant = { ...how, chain, servers }
  const request = { ...variant, promptIds: laboratory.prompt(init.promptTokens), tokens }
  const runs = new Map<FloodTarget, FloodRun[]>(targets.map(target => [target, []]))
  const memory = (): Promise<number> => memoryOf(laboratory.server(number))
  let beforeBytes = 0
  const flooder = new Child<FloodCalls>("the flooder's process", programUrl('flood/flooder-process', import.meta.url))
  try {
    const trials = interleave(targets, warmup + init.runs, seed)
    for (const [i, { variant: target, run: round }] of trials.entries()) {
      if (signal?.aborted === true) throw new CancelledError('the benchmark')
      init.onProgress(`run ${i + 1} of ${trials.length}: flood of ${target}`)
      if (i === warmup * targets.length) beforeBytes = await memory()
      const { address, admin } = laboratory.server(target === 'bystander' ? bystander : number)
      const before = await readServerMetrics(admin)
      if (target !== 'nobody') await flooder.ask('start', { ...forgery, target: address })
      const outcome = await laboratory.client.ask('generate', request)
      const flood = target === 'nobody' ? null : await flooder.ask('stop', null)
      const after = await readServerMetrics(admin)
      if (round < warmup) continue
      await laboratory.samples?.add({ ...how, servers, flood: target, run: round - warmup, ...outcome })
      const ignored = after.pushesIgnored - before.pushesIgnored
      runs.get(target)?.push({ outcome, flood, ignored, cpuSeconds: after.cpuSeconds - before.cpuSeconds })
    }
  } finally {
    await flooder.close()
  }
  return { runs, memory: { beforeBytes, afterBytes: await memory() } }
}

/** Resident bytes, once the server has collected its garbage. */
async function memoryOf({ admin, pid }: LaboratoryServer): Promise<number> {
  // Elsewhere the signal would end it.
  if (process.platform !== 'win32') process.kill(pid, 'SIGUSR2')
  await new Promise<void>(resolve => systemClock.after(collectMs, resolve))
  return (await readServerMetrics(admin)).memoryBytes
}

function floodResult({ servers }: FloodInit, flood: FloodTarget, all: Runs, seed: number): FloodResult {
  const runs = all.get(flood) ?? []
  const floods = runs.flatMap(run => run.flood ?? [])
  const seconds = sum(floods.map(({ elapsedMs }) => elapsedMs)) / 1000
  const rate = (count: number): number | null => (seconds === 0 ? null : count / seconds)
  return {
    ...resultOf({ variant: { ...how, chain: 0, servers }, outcomes: runs.map(({ outcome }) => outcome) }, null, seed),
    flood,
    overCalm: flood === 'nobody' ? null : ratio(pairs(all, flood, 'nobody')),
    sentPerSecond: rate(sum(floods.map(({ sent }) => sent))),
    ignoredPerSecond: rate(sum(runs.map(({ ignored }) => ignored))),
    streamsEnded: seconds === 0 ? null : sum(floods.map(({ ended }) => ended)),
    cpuSeconds: sum(runs.map(({ cpuSeconds }) => cpuSeconds))
  }
}

interface Pair {
  readonly run: FloodRun
  readonly other: FloodRun
}

/** By round: what slowed a round down slowed down both. */
function pairs(runs: Runs, target: FloodTarget, beside: FloodTarget): Pair[] {
  const others = runs.get(beside) ?? []
  return (runs.get(target) ?? []).map((run, i) => ({ run, other: others[i] ?? run }))
}

/** Of mean steps. */
function ratio(some: readonly Pair[]): number | null {
  const slow = mean(steps(succeeded(some.map(({ run }) => run.outcome))))
  const calm = mean(steps(succeeded(some.map(({ other }) => other.outcome))))
  return slow === null || calm === null ? null : slow / calm
}

/** Against the flood of a bystander: what a flood takes of the cores that it shares with the chain is not the server's. */
function slowdown(runs: Runs, seed: number): Criterion {
  const rounds = pairs(runs, 'chain', 'bystander')
  const name = 'step in a flooded chain over one beside a flooded bystander'
  return atMost(name, limits.ofBystander, ratio(rounds), bootstrapInterval(rounds, ratio, seed))
}

function growth({ beforeBytes, afterBytes }: FloodReport['memory']): Criterion {
  return atMost('memory of the flooded server, MiB grown', limits.grownMiB, (afterBytes - beforeBytes) / 2 ** 20)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
