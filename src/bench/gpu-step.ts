import { CancelledError, silentLogger } from '../base/index.ts'
import type { SpanGraph } from '../model/index.ts'
import { type Device, loadBareDecode, loadSpan, type SpanRun } from '../runtime/index.ts'
import { interleave } from './order.ts'

/** What is run over and over: one token of each of `batch` sessions, or a piece of a prompt of one. */
export interface GpuVariant {
  readonly kind: 'decode' | 'prefill'
  readonly batch: number
  /** Tokens in the cache of each session before it. */
  readonly past: number
  /** New tokens of each session. */
  readonly tokens: number
}

export interface GpuSamples {
  readonly variant: GpuVariant
  /** Milliseconds of each run through the runner: hidden states in, the span, hidden states out. */
  readonly runMs: readonly number[]
  /** Milliseconds of a step where steps are queued one behind the other on the device; null for a prefill. */
  readonly queuedMs: number | null
}

export interface GpuSamplingInit {
  readonly device: Device
  readonly libraryFolder: string | undefined
  readonly batches: readonly number[]
  readonly pasts: readonly number[]
  readonly prefillTokens: number
  readonly rounds: number
  readonly threads: number
  readonly seed: number
  /** Of work before what is timed, on top of the runs that do not count. */
  readonly warmMs: number
  readonly signal: AbortSignal | undefined
}

/** Runs of a variant that do not count. */
const warmupRounds = 3
/** The same where runs are replayed: each of libuv's threads records its own (`Device.replays`), and each takes its share. */
const replayWarmupRounds = 24

/** Times every variant of one span. The runner is closed before the device is asked for the second copy of the weights. */
export async function sampleSpan(graph: SpanGraph, init: GpuSamplingInit): Promise<GpuSamples[]> {
  const all: GpuSamples[] = []
  const runs = await sampleRuns(graph, init)
  for (const [variant, runMs] of runs) {
    if (init.signal?.aborted === true) throw new CancelledError('the benchmark')
    all.push({ variant, runMs, queuedMs: variant.kind === 'decode' ? await timeQueued(graph, variant, init) : null })
  }
  return all
}

async function sampleRuns(graph: SpanGraph, init: GpuSamplingInit): Promise<Map<GpuVariant, number[]>> {
  const { device, libraryFolder, batches, prefillTokens, rounds, threads, signal } = init
  const pasts = [...init.pasts].sort((a, b) => a - b)
  const slots = Math.max(...batches)
  const runner = await loadSpan(graph, {
    device,
    ...(libraryFolder === undefined ? {} : { libraryFolder }),
    slots,
    maxLength: Math.max(...pasts) + prefillTokens,
    chunkTokens: prefillTokens,
    threads,
    logger: silentLogger,
    ...(signal === undefined ? {} : { signal })
  })
  const options = signal === undefined ? {} : { signal }
  const runOf = (slot: number, tokens: number): SpanRun => {
    const values = tokens * graph.hiddenSize
    const input = new Float32Array(values).fill(0.5)
    return { slot, position: runner.length(slot), input, output: new Float32Array(values) }
  }
  const samples = new Map<GpuVariant, number[]>()
  const warmups = device.replays ? replayWarmupRounds : warmupRounds
  try {
    for (const past of pasts) {
      for (let slot = 0; slot < slots; slot++) {
        while (runner.length(slot) < past) {
          await runner.prefill(runOf(slot, Math.min(prefillTokens, past - runner.length(slot))), options)
        }
      }
      const begun = performance.now()
      while (performance.now() - begun < init.warmMs) {
        await runner.decode([runOf(0, 1)], options)
        runner.rewind(0, past)
      }
      const variants: GpuVariant[] = [
        ...batches.map(batch => ({ kind: 'decode', batch, past, tokens: 1 }) as const),
        { kind: 'prefill', batch: 1, past, tokens: prefillTokens }
      ]
      for (const { variant, run } of interleave(variants, warmups + rounds, init.seed)) {
        const slotRuns = Array.from({ length: variant.batch }, (_, slot) => runOf(slot, variant.tokens))
        const [first] = slotRuns
        const start = performance.now()
        if (variant.kind === 'decode') await runner.decode(slotRuns, options)
        else if (first !== undefined) await runner.prefill(first, options)
        const ms = performance.now() - start
        for (const { slot } of slotRuns) runner.rewind(slot, past)
        if (run >= warmups) samples.set(variant, [...(samples.get(variant) ?? []), ms])
      }
    }
  } finally {
    await runner.close()
  }
  return samples
}

async function timeQueued(graph: SpanGraph, { batch, past }: GpuVariant, init: GpuSamplingInit): Promise<number> {
  const { device, libraryFolder, threads, rounds } = init
  const bare = await loadBareDecode(graph, { device, libraryFolder, threads, past, rows: batch })
  try {
    const begun = performance.now()
    do bare.steps(warmupRounds)
    while (performance.now() - begun < init.warmMs)
    const start = performance.now()
    bare.steps(rounds)
    return (performance.now() - start) / rounds
  } finally {
    await bare.close()
  }
}
