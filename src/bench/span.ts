import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildSpanGraph, openModel, type RandomModelInit, writeRandomModel } from '../model/index.ts'
import { describeMachine, type Machine, type Versions, versions } from './machine.ts'
import { type LoopFigures, watchEventLoop } from './span-loop.ts'
import { measureMemory } from './span-memory.ts'
import type { MemoryFigures } from './span-memory-child.ts'
import { bytesRead, sampleSteps, type StepSamples } from './span-step.ts'
import { bootstrapInterval, type Interval, type Summary, summarize } from './statistics.ts'

export interface SpanBenchInit {
  /** @default 12 blocks, hidden 768, 12 heads, 4 of keys and values, feed-forward 2048 */
  readonly shape?: SpanShape
  /** Tokens in the cache. @default 100 */
  readonly past?: number
  /** One measurement each. @default [1, 2] */
  readonly threads?: readonly number[]
  /** Decode steps that count. @default 60 */
  readonly rounds?: number
  /** Tokens of the prefills during which the event loop is watched. @default 512 */
  readonly prefillTokens?: number
  /** @default 1 */
  readonly seed?: number
  /** Called with what is measured next. */
  readonly onProgress?: (what: string) => void
}

type SpanShape = Pick<RandomModelInit, 'blocks' | 'hiddenSize' | 'heads' | 'kvHeads' | 'mlpSize'>

/** A figure and the limit that it is held against. */
interface Judged {
  readonly value: number
  readonly ci95: Interval | null
  readonly limit: number
  readonly ok: boolean
}

interface SpanThreadsResult {
  readonly threads: number
  /** Milliseconds; `StepSamples` says of what. */
  readonly stepMs: Readonly<Record<keyof StepSamples, Summary>>
  /** Our step over ONNX Runtime's own, paired by round. */
  readonly bareRatio: Judged
  /** What the memory gave, bytes a second: the better median of the two readings. */
  readonly rooflineBytesPerSecond: number
  /** Of the roofline, by our step. */
  readonly rooflineShare: Judged
  readonly eventLoop: LoopFigures
  /** Milliseconds. */
  readonly eventLoopGap: Judged
}

export interface SpanBenchResult {
  readonly startedAt: string
  readonly machine: Machine
  readonly versions: Versions
  readonly shape: SpanShape
  readonly past: number
  readonly weightBytes: number
  readonly bytesPerStep: number
  readonly threads: readonly SpanThreadsResult[]
  readonly memory: MemoryFigures
  /** Bytes: growth beyond the weights, from the process's start to after 100 steps. */
  readonly memoryOverhead: Judged
}

const defaultShape: SpanShape = { blocks: 12, hiddenSize: 768, heads: 12, kvHeads: 4, mlpSize: 2048 }
const mebibyte = 2 ** 20
const limits = { bareRatio: 1.1, rooflineShare: 0.85, eventLoopGapMs: 20, memoryOverhead: 60 * mebibyte }
const memorySteps = 100
const prefillRuns = 5

/** Measures a span of random weights by itself: no network, no other spans. */
export async function benchSpan(init: SpanBenchInit = {}): Promise<SpanBenchResult> {
  const shape = init.shape ?? defaultShape
  const past = init.past ?? 100
  const prefillTokens = init.prefillTokens ?? 512
  const seed = init.seed ?? 1
  const startedAt = new Date().toISOString()
  const maxLength = Math.max(past + memorySteps, prefillTokens)
  const folder = await mkdtemp(join(tmpdir(), 'andthen-span-'))
  try {
    init.onProgress?.('writing a model of random weights')
    await writeRandomModel(folder, { ...shape, maxLength, vocabSize: vocabOf(shape), tiedHead: true, seed })
    const model = await openModel(folder)
    const graph = buildSpanGraph(model, { from: 0, to: shape.blocks }, { maxLength })
    init.onProgress?.('memory of a process that runs the span')
    const memory = await measureMemory(graph, { past, steps: memorySteps, threads: 1 })
    const results: SpanThreadsResult[] = []
    for (const threads of init.threads ?? [1, 2]) {
      init.onProgress?.(`decode steps, threads: ${threads}`)
      const samples = await sampleSteps(model, graph, { past, threads, rounds: init.rounds ?? 60, seed })
      init.onProgress?.(`event loop during prefills, threads: ${threads}`)
      const eventLoop = await watchEventLoop(graph, { tokens: prefillTokens, runs: prefillRuns, threads })
      results.push(
        judge(samples, { threads, eventLoop, seed, weightBytes: graph.weightBytes, bytes: bytesRead(graph, past) })
      )
    }
    return {
      startedAt,
      machine: describeMachine(),
      versions: versions(),
      shape,
      past,
      weightBytes: graph.weightBytes,
      bytesPerStep: bytesRead(graph, past),
      threads: results,
      memory,
      memoryOverhead: atMost(memory.afterSteps - memory.start - graph.weightBytes, limits.memoryOverhead)
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** A head of one matrix with as many values as the blocks have. */
function vocabOf({ blocks, hiddenSize, heads, kvHeads, mlpSize }: SpanShape): number {
  const headDim = hiddenSize / heads
  return blocks * (2 * heads * headDim + 2 * kvHeads * headDim + 3 * mlpSize)
}

interface Circumstances {
  readonly threads: number
  readonly eventLoop: LoopFigures
  readonly seed: number
  readonly weightBytes: number
  readonly bytes: number
}

type Round = Readonly<Record<keyof StepSamples, number>>

function judge(
  samples: StepSamples,
  { threads, eventLoop, seed, weightBytes, bytes }: Circumstances
): SpanThreadsResult {
  const rounds: Round[] = samples.runner.map((runner, i) => ({
    runner,
    bare: at(samples.bare, i),
    search: at(samples.search, i),
    product: at(samples.product, i)
  }))
  // Of each round its own ratio: what slows the machine down for a while slows both down.
  const ratio = (some: readonly Round[]): number => median(some, round => round.runner / round.bare)
  const bytesPerMs = (some: readonly Round[]): number =>
    Math.max(bytes / median(some, round => round.search), weightBytes / median(some, round => round.product))
  const share = (some: readonly Round[]): number => bytes / median(some, round => round.runner) / bytesPerMs(some)
  return {
    threads,
    stepMs: {
      runner: summarize(samples.runner),
      bare: summarize(samples.bare),
      search: summarize(samples.search),
      product: summarize(samples.product)
    },
    bareRatio: atMost(ratio(rounds), limits.bareRatio, bootstrapInterval(rounds, ratio, seed)),
    rooflineBytesPerSecond: 1000 * bytesPerMs(rounds),
    rooflineShare: atLeast(share(rounds), limits.rooflineShare, bootstrapInterval(rounds, share, seed)),
    eventLoop,
    eventLoopGap: atMost(eventLoop.longestGapMs, limits.eventLoopGapMs)
  }
}

function atLeast(value: number, limit: number, ci95: Interval | null): Judged {
  return { value, ci95, limit, ok: (ci95?.[0] ?? value) >= limit }
}

function atMost(value: number, limit: number, ci95: Interval | null = null): Judged {
  return { value, ci95, limit, ok: (ci95?.[1] ?? value) <= limit }
}

function at(samples: readonly number[], index: number): number {
  return samples[index] ?? Number.NaN
}

function median(rounds: readonly Round[], of: (round: Round) => number): number {
  const ascending = rounds.map(of).sort((a, b) => a - b)
  return at(ascending, Math.floor(ascending.length / 2))
}
