import { fileURLToPath } from 'node:url'
import type { RoutesInit } from '../bench/index.ts'
import { UsageError } from '../base/index.ts'
import { allRoutes, benchDefaults, benchFlags } from './bench-flags.ts'
import { choice } from './choices.ts'
import { type Context, defineCommand } from './command.ts'
import type { FlagValues } from './flags.ts'
import { defaultModel } from './model-folder.ts'
import { exitStatus } from './report.ts'

const parseName = choice('bench', ['span', 'chain', 'routes', 'load'], ['gpu'])
type BenchName = ReturnType<typeof parseName>
type Given = FlagValues<typeof benchFlags>
const serve = [fileURLToPath(new URL('../../bin/serve', import.meta.url))]

interface BenchOptions {
  readonly name: BenchName
  readonly json: boolean
  readonly init: Omit<RoutesInit, 'onProgress' | 'signal'>
}

export const benchCommand = defineCommand({
  name: 'bench',
  summary: 'measure spans, chains, routes and load',
  flags: benchFlags,
  argument: 'NAME',
  options: optionsFrom,
  run
})

function optionsFrom(given: Given, argument = ''): BenchOptions {
  const name = parseName(argument)
  const { concurrency, requestRate } = given
  if (concurrency !== undefined && requestRate !== undefined)
    throw new UsageError('give one of --concurrency (closed load) and --request-rate (open load)')
  return {
    name,
    json: given.json ?? false,
    init: {
      serve,
      model: given.model ?? defaultModel,
      peers: given.peers,
      servers: given.servers ?? 4,
      shape: shapeOf(name, given),
      routes: given.routes ?? allRoutes,
      verify: given.verify ?? (name === 'routes' ? ['auto', 'none', 'digest', 'copy'] : ['auto']),
      promptTokens: given.promptTokens ?? benchDefaults.promptTokens,
      tokens: given.tokens ?? benchDefaults.tokens,
      runs: given.runs ?? benchDefaults.runs,
      warmup: given.warmup ?? benchDefaults.warmup,
      seed: given.seed ?? benchDefaults.seed,
      out: given.out
    }
  }
}

function shapeOf(name: BenchName, { peers, link, delay, jitter, bandwidth }: Given): RoutesInit['shape'] {
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

async function run({ name, json, init }: BenchOptions, { terminal, signal }: Context): Promise<number> {
  const { benchChain, benchRoutes, formatTable } = await import('../bench/index.ts')
  const onProgress = (what: string): void => terminal.status(what)
  const report =
    name === 'chain' && init.peers === undefined
      ? await benchChain({ ...init, shippedModel: defaultModel, signal, onProgress })
      : await benchRoutes({ ...init, command: name, signal, onProgress })
  terminal.status('')
  terminal.out(`${json ? JSON.stringify(report) : formatTable(report)}\n`)
  return report.results.every(({ runs, failed }) => failed < runs) ? exitStatus.done : exitStatus.failed
}
