import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RouteName } from '../client/index.ts'
import { type BlockRange, type RandomModelInit, writeRandomModel } from '../model/index.ts'
import { runVariants, succeeded, type VariantRuns } from './campaign.ts'
import type { ConnectedChain, Trial } from './client/client-calls.ts'
import { atMost, type Criterion } from './criteria.ts'
import { floorOf, timeSpans } from './floors.ts'
import { Laboratory } from './laboratory.ts'
import { evenSpans } from './nodes.ts'
import { timeReady } from './ready-time.ts'
import type { BenchReport } from './report.ts'
import { resultOf, steps } from './results.ts'
import { type RoutesInit, variantsOf } from './routes.ts'
import { bootstrapInterval, mean, summarize } from './statistics.ts'

export interface ChainInit extends Omit<RoutesInit, 'command' | 'model' | 'peers'> {
  /** Longest chain; all shorter ones are measured beside it. */
  readonly servers: number
  /** Whose first blocks a server should be ready to serve in time. */
  readonly shippedModel: string
}

const addedLimits: Readonly<Partial<Record<RouteName, number>>> = { relay: 0.8, push: 0.6 }
const limits = { upload: 1.05, readyMs: 2000 }
/** As wide as a small model; computes little, so that a hop's own time shows. */
const shape = { hiddenSize: 768, heads: 2, kvHeads: 1, headDim: 64, mlpSize: 64, vocabSize: 512, maxLength: 1024 }
const prefillTokens = 512
const readyBlocks = 4
const readyStarts = 5

/** What each further server adds to a step beyond its computation: chains of 1 to `servers` servers, in one run. */
export async function benchChain(init: ChainInit): Promise<BenchReport> {
  const { servers, seed, onProgress } = init
  onProgress('starting a server, again and again')
  const readyMs = await timeReady([...init.serve, ...readyArguments(init.shippedModel)], readyStarts)
  const folder = await mkdtemp(join(tmpdir(), 'andthen-chain-'))
  try {
    const model = join(folder, `random-${shape.hiddenSize}`)
    onProgress('writing a model of random weights')
    await writeRandomModel(model, { ...shape, blocks: servers, tiedHead: true, seed } satisfies RandomModelInit)
    const layout = layoutOf(servers)
    onProgress(`starting ${layout.spans.length} servers`)
    return await Laboratory.with({ ...init, model, spans: layout.spans }, laboratory =>
      measure(laboratory, layout.chains, init, readyMs)
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function readyArguments(model: string): string[] {
  const blocks = ['--model', model, '--blocks', `0-${readyBlocks}`]
  return ['--log-format', 'json', ...blocks, '--listen', '/ip4/127.0.0.1/tcp/0']
}

interface Layout {
  readonly spans: readonly BlockRange[]
  /** Of the chain of each length, from 1: which spans it is made of. */
  readonly chains: readonly (readonly number[])[]
}

/** As many blocks as servers, split evenly over chains of every length; equal spans are one server. */
export function layoutOf(servers: number): Layout {
  const spans: BlockRange[] = []
  const place = ({ from, to }: BlockRange): number => {
    const found = spans.findIndex(span => span.from === from && span.to === to)
    return found === -1 ? spans.push({ from, to }) - 1 : found
  }
  const chains = Array.from({ length: servers }, (_, i) => evenSpans(servers, i + 1).map(place))
  return { spans, chains }
}

async function measure(
  laboratory: Laboratory,
  members: Layout['chains'],
  init: ChainInit,
  readyMs: readonly number[]
): Promise<BenchReport> {
  const { seed, shape: links } = init
  const chains: { chain: ConnectedChain; computeMs: number[] }[] = []
  for (const servers of members) {
    init.onProgress(`timing the spans of ${servers.length} servers alone`)
    const chain = await laboratory.connect(servers)
    chains.push({ chain, computeMs: await timeSpans(laboratory, chain, init) })
  }
  const runs = await runVariants(laboratory.client, {
    ...init,
    variants: chains.flatMap(({ chain }) => variantsOf(init, chain.chain, chain.servers.length)),
    promptIds: laboratory.prompt(init.promptTokens),
    samples: laboratory.samples
  })
  const upload = await prefillUpload(laboratory, chains.at(-1)?.chain)
  const measured = await laboratory.measureLinks()
  const results = runs.map(of => {
    const found = chains[of.variant.servers - 1]
    const ofChain = runs.filter(({ variant }) => variant.chain === of.variant.chain)
    const floor =
      found === undefined
        ? null
        : floorOf(laboratory, { ...found, runs: ofChain, measured, bandwidth: links?.bandwidth ?? null })
    return resultOf(of, floor, seed)
  })
  const criteria = [
    ...runs.flatMap(longer => addedTime(runs, longer, seed)),
    atMost(
      `push, digest, ${members.length} servers: upload of a prefill of ${prefillTokens} tokens over one server's input`,
      limits.upload,
      upload
    ),
    atMost(
      `start to ready, ${readyBlocks} blocks, ms`,
      limits.readyMs,
      mean(readyMs),
      bootstrapInterval(readyMs, some => mean(some), seed)
    )
  ]
  return laboratory.report(measured, { command: 'chain', results, criteria })
}

/** (p50 at k - p50 at 1 - added compute) / (k - 1), rounds drawn together. */
function addedTime(runs: readonly VariantRuns[], longer: VariantRuns, seed: number): Criterion[] {
  const { servers, route, verify } = longer.variant
  const one = runs.find(({ variant }) => variant.servers === 1 && variant.route === route && variant.verify === verify)
  const limit = addedLimits[route]
  if (servers === 1 || one === undefined || limit === undefined) return []
  const rounds = longer.outcomes.map((outcome, i) => ({ outcome, one: one.outcomes[i] ?? outcome }))
  const added = (some: typeof rounds): number | null => {
    const [many, few] = [succeeded(some.map(round => round.outcome)), succeeded(some.map(round => round.one))]
    const [stepMs, computeMs] = [difference(many, few, steps), difference(many, few, compute)]
    return stepMs === null || computeMs === null ? null : (stepMs - computeMs) / (servers - 1)
  }
  const interval = bootstrapInterval(rounds, some => added([...some]), seed)
  const name = `${route}, ${verify}, ${servers} servers: ms for each added server`
  return [atMost(name, limit, added(rounds), interval)]
}

function compute(runs: readonly Trial[]): number[] {
  return runs.flatMap(run => run.computeMs)
}

/** Of medians; null where one cannot be told. */
function difference(
  many: readonly Trial[],
  few: readonly Trial[],
  of: (runs: readonly Trial[]) => number[]
): number | null {
  const [a, b] = [summarize(of(many)).p50, summarize(of(few)).p50]
  return a === null || b === null ? null : a - b
}

/** What the client sends for a long prompt, over the bytes of the prompt's hidden states; null where it failed. */
async function prefillUpload(laboratory: Laboratory, chain: ConnectedChain | undefined): Promise<number | null> {
  if (chain === undefined) return null
  const variant = { chain: chain.chain, servers: chain.servers.length, route: 'push', verify: 'digest' } as const
  const promptIds = laboratory.prompt(prefillTokens)
  const outcome = await laboratory.client.ask('generate', { ...variant, promptIds, tokens: 1 })
  if (outcome.failed !== null) return null
  return outcome.bytesUp / (prefillTokens * shape.hiddenSize * Float32Array.BYTES_PER_ELEMENT)
}
