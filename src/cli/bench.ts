import { fileURLToPath } from 'node:url'
import type { BenchReport, FloodInit, GpuBenchInit, LoadInit, SessionsInit } from '../bench/index.ts'
import { makeFolder, makeProblem, UsageError } from '../base/index.ts'
import { benchDefaults, benchFlags } from './bench-flags.ts'
import { choice } from './choices.ts'
import { type Context, defineCommand } from './command.ts'
import { type FlagValues, present } from './flags.ts'
import { interruptible } from './interrupts.ts'
import { defaultModel } from './model-folder.ts'
import { exitStatus } from './report.ts'
import { runtimeOptions } from './runtime-flags.ts'

const names = ['span', 'chain', 'routes', 'load', 'flood', 'sessions', 'gpu', 'soak'] as const
const parseName = choice(names)
type BenchName = ReturnType<typeof parseName>
type Given = FlagValues<typeof benchFlags>
const serve = [fileURLToPath(new URL('../../bin/serve', import.meta.url))]

interface BenchOptions {
  readonly name: BenchName
  readonly json: boolean
  readonly init: Omit<LoadInit & FloodInit, 'onProgress' | 'signal'>
  /** As given: the defaults of a span, a GPU and of sessions are others. */
  readonly rounds: number | undefined
  readonly sessions: Pick<SessionsInit, 'model' | 'steps' | 'promptTokens' | 'abandoned' | 'decoders'>
  readonly gpu: Pick<GpuBenchInit, 'device' | 'libraryFolder' | 'cuda'>
  readonly soak: { readonly durationMs: number; readonly flood: boolean }
}

export const benchCommand = defineCommand({
  name: 'bench',
  summary: 'measure spans, GPUs, chains, routes, load, floods and sessions; soak what carries them',
  flags: benchFlags,
  argument: names.join('|'),
  options: optionsFrom,
  run
})

function optionsFrom(given: Given, argument = ''): BenchOptions {
  const name = parseName(argument)
  const { concurrency, requestRate } = given
  if (concurrency !== undefined && requestRate !== undefined)
    throw new UsageError('give one of --concurrency (closed load) and --request-rate (open load)')
  if (name !== 'chain' && name !== 'routes' && name !== 'load' && given.peers !== undefined)
    throw new UsageError(`${name} measures this machine: --peers are for chain, routes and load`)
  const { onnxruntime: libraryFolder, cuda } = runtimeOptions(given)
  if (name !== 'gpu' && (given.device !== undefined || cuda !== undefined))
    throw new UsageError(`--device and --cuda-... are for the bench gpu; ${name} computes on the CPU`)
  return {
    name,
    json: given.json ?? false,
    rounds: given.runs,
    sessions: present({
      model: given.model,
      steps: given.tokens,
      promptTokens: given.promptTokens,
      abandoned: given.requests,
      decoders: concurrency
    }),
    gpu: present({ device: given.device, libraryFolder, cuda }),
    soak: { durationMs: given.duration ?? benchDefaults.soakMs, flood: given.flood ?? false },
    init: {
      serve,
      model: given.model ?? defaultModel,
      peers: given.peers,
      servers: given.servers ?? (name === 'load' || name === 'flood' ? 3 : 4),
      shape: shapeOf(name, given),
      routes: given.routes ?? (name === 'routes' ? ['relay', 'push', 'delegate'] : ['relay', 'push']),
      verify: given.verify ?? (name === 'routes' ? ['auto', 'none', 'digest', 'copy'] : ['auto']),
      promptTokens: given.promptTokens ?? benchDefaults.promptTokens,
      tokens: given.tokens ?? (name === 'flood' ? benchDefaults.floodTokens : benchDefaults.tokens),
      runs: given.runs ?? benchDefaults.runs,
      warmup: given.warmup ?? benchDefaults.warmup,
      seed: given.seed ?? benchDefaults.seed,
      out: given.out,
      perSecond: requestRate ?? benchDefaults.floodRate,
      requests: given.requests ?? benchDefaults.requests,
      arrivals:
        requestRate === undefined
          ? { kind: 'closed', concurrency: concurrency ?? benchDefaults.concurrency }
          : { kind: 'open', requestRate }
    }
  }
}

function shapeOf(name: BenchName, { peers, link, delay, jitter, bandwidth }: Given): LoadInit['shape'] {
  const shaped = delay !== undefined || jitter !== undefined || bandwidth !== undefined
  if (peers !== undefined) {
    if (link === 'relay' || shaped)
      throw new UsageError('--peers are measured over the links that they have: leave out --link, --delay and the like')
    return null
  }
  if (link === 'none' && shaped) throw new UsageError('--link none cannot be shaped: leave it out')
  if ((link ?? (shaped || name === 'routes' ? 'relay' : 'none')) === 'none') return null
  return { delayMs: delay ?? benchDefaults.delayMs, jitterMs: jitter ?? 0, bandwidth: bandwidth ?? null }
}

async function run(options: BenchOptions, { terminal, signal }: Context): Promise<number> {
  const { name, json, init, rounds, sessions, gpu, soak } = options
  const bench = await import('../bench/index.ts')
  const onProgress = (what: string): void => terminal.status(what)
  const show = (report: object, text: string): void => {
    terminal.status('')
    terminal.out(`${json ? JSON.stringify(report) : text}\n`)
  }
  const told = { ...init, signal, onProgress }
  if (init.out !== undefined) await makeOut(init.out)
  switch (name) {
    case 'span': {
      const { seed } = init
      const measuring = () => bench.benchSpan({ seed, onProgress, ...present({ rounds }) })
      const result = await interruptible('the benchmark', measuring, signal)
      show({ schema: bench.schema, command: name, seed, ...result }, bench.formatSpan(result))
      return exitStatus.done
    }
    case 'gpu': {
      const { seed } = init
      const result = await bench.benchGpu({ ...gpu, seed, signal, onProgress, ...present({ rounds }) })
      show({ schema: bench.schema, command: name, seed, ...result }, bench.formatGpu(result))
      return exitStatus.done
    }
    case 'soak': {
      const { serve, seed } = init
      const report = await bench.benchSoak({ serve, model: defaultModel, seed, signal, onProgress, ...soak })
      show({ schema: bench.schema, command: name, ...report }, bench.formatSoak(report))
      // It promises nothing about speed: what it finds is wrong.
      return report.criteria.every(({ ok }) => ok) ? exitStatus.done : exitStatus.failed
    }
    case 'sessions': {
      const { serve, seed } = init
      const of = { ...sessions, ...present({ rounds }), shippedModel: defaultModel }
      const report = await bench.benchSessions({ ...of, serve, seed, signal, onProgress })
      show(report, bench.formatSessions(report))
      return exitStatus.done
    }
    case 'load': {
      const report = await bench.benchLoad(told)
      show(report, bench.formatLoad(report))
      return statusOf(report)
    }
    case 'flood': {
      const report = await bench.benchFlood(told)
      show(report, bench.formatFlood(report))
      return statusOf(report)
    }
    case 'chain':
    case 'routes': {
      const own = name === 'chain' && init.peers === undefined
      const report = own
        ? await bench.benchChain({ ...told, shippedModel: defaultModel })
        : await bench.benchRoutes({ ...told, command: name })
      show(report, bench.formatTable(report))
      return statusOf(report)
    }
  }
}

/** Before anything is measured, which may take an hour. @throws UsageError */
async function makeOut(folder: string): Promise<void> {
  try {
    await makeFolder(folder)
  } catch (cause) {
    throw new UsageError(`--out: "${folder}" is no folder to write to: ${makeProblem(cause)}`, { cause })
  }
}

/** A benchmark has failed where nothing of a variant could be measured; a promise that was missed is a result. */
function statusOf({ results }: BenchReport): number {
  return results.every(({ runs, failed }) => failed < runs) ? exitStatus.done : exitStatus.failed
}
