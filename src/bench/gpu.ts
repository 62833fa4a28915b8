import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  buildSpanGraph,
  type ComputeType,
  kvBytesPerToken,
  openModel,
  type RandomModelInit,
  writeRandomModel
} from '../model/index.ts'
import {
  type ChosenDevice,
  chooseDevice,
  type CudaOptions,
  type DeviceWish,
  inspectCuda,
  timeCopies
} from '../runtime/index.ts'
import { atLeast, atMost, type Criterion } from './criteria.ts'
import { MeasurementError } from './errors.ts'
import { blockBytes, demandDisk, type LeftOut, partByRoom } from './gpu-room.ts'
import { type GpuSamples, type GpuSamplingInit, type GpuVariant, sampleSpan } from './gpu-step.ts'
import { describeMachine, type Machine, type Versions, versions } from './machine.ts'
import { bootstrapInterval, mean, type Summary, summarize } from './statistics.ts'

/** What is measured where; `workload` says by default. */
export interface GpuWorkload {
  readonly shape: Pick<RandomModelInit, 'hiddenSize' | 'heads' | 'kvHeads' | 'mlpSize'>
  readonly blocks: readonly number[]
  readonly batches: readonly number[]
  readonly pasts: readonly number[]
  readonly prefillTokens: number
  /** Of one copy that the device's bandwidth is told from. */
  readonly copyBytes: number
}

export interface GpuBenchInit {
  /** @default 'cuda:0' */
  readonly device?: DeviceWish
  readonly libraryFolder?: string | undefined
  readonly cuda?: CudaOptions | undefined
  /** @default a span of Llama 8B; on the processor one that it computes in no time */
  readonly workload?: GpuWorkload
  /** Runs of each variant that count. @default 30 */
  readonly rounds?: number
  /** @default 1 */
  readonly seed?: number
  readonly onProgress?: (what: string) => void
  /** Ends it early: what was written is removed, and what was loaded freed. */
  readonly signal?: AbortSignal
}

export interface GpuResult extends GpuVariant {
  readonly blocks: number
  readonly runMs: Summary
  readonly queuedMs: number | null
  /** That a run must read: weights, and the keys and values of the past. */
  readonly bytes: number
  /** `bytes` over the mean run. */
  readonly bytesPerSecond: number
  /** Of what copies within the device's memory read and write. */
  readonly copyShare: number
  /** Of a run, what is not work on the device: the rest is a step's share where steps are queued. */
  readonly outsideShare: number | null
}

/** Null where one does not say. */
export interface GpuVersions {
  readonly driver: string | null
  /** Of the CUDA runtime that the provider loaded. */
  readonly cuda: string | null
  readonly provider: string | null
}

export interface GpuBenchResult {
  readonly startedAt: string
  readonly machine: Machine
  readonly versions: Versions
  readonly device: {
    readonly name: string
    readonly reason: string
    /** Null on the processor. */
    readonly gpu: (ChosenDevice['gpu'] & object & GpuVersions) | null
  }
  readonly weights: ComputeType
  readonly workload: GpuWorkload
  /** Read and written, each copy. */
  readonly copy: { readonly bytes: number; readonly ms: Summary; readonly bytesPerSecond: number }
  readonly results: readonly GpuResult[]
  /** Spans that the device has no room for. */
  readonly leftOut: readonly LeftOut[]
  readonly criteria: readonly Criterion[]
}

const MiB = 2 ** 20
const copyRounds = 20
/** Of work on a GPU before what is timed: it leaves its low clocks within a fraction of that. */
const gpuWarmMs = 1000
const leastShare = 0.6

const llama8B: GpuWorkload = {
  shape: { hiddenSize: 4096, heads: 32, kvHeads: 8, mlpSize: 14_336 },
  blocks: [1, 4, 12],
  batches: [1, 4, 16],
  pasts: [128, 4096],
  prefillTokens: 128,
  copyBytes: 1024 * MiB
}

const small: GpuWorkload = {
  shape: { hiddenSize: 128, heads: 4, kvHeads: 2, mlpSize: 352 },
  blocks: [1, 2],
  batches: [1, 4],
  pasts: [16, 64],
  prefillTokens: 16,
  copyBytes: 16 * MiB
}

/**
 * Decode and prefill of spans on a device, against the bandwidth of its memory.
 *
 * @throws DeviceUnavailableError where the device cannot be used, RuntimeLoadError, MeasurementError where there is not
 * enough room for even one of the spans, CancelledError when `signal` aborts
 */
export async function benchGpu(init: GpuBenchInit = {}): Promise<GpuBenchResult> {
  const { libraryFolder, seed = 1, rounds = 30, onProgress, signal } = init
  const chosen = await chooseDevice({ device: init.device ?? 'cuda:0', libraryFolder, cuda: init.cuda })
  const { device } = chosen
  const wanted = init.workload ?? (chosen.gpu === null ? small : llama8B)
  const weights = computeOf(chosen)
  const { workload, leftOut } = withinMemory(wanted, weights, chosen)
  await demandDisk(tmpdir(), Math.max(...workload.blocks) * blockBytes(workload.shape, bytesOf[weights]))
  const startedAt = new Date().toISOString()
  onProgress?.('copies within the device')
  const warmMs = chosen.gpu === null ? 0 : gpuWarmMs
  const copyMs = await timeCopies({ device, libraryFolder }, { bytes: workload.copyBytes, rounds: copyRounds, warmMs })
  const copied = (2000 * workload.copyBytes) / (mean(copyMs) ?? Number.NaN)
  const sampling = { ...workload, device, libraryFolder, rounds, seed, threads: 1, warmMs, signal }
  const sampled = await sampleAll(workload, weights, sampling, onProgress)
  const results = sampled.map(({ samples, blocks, bytes }) => resultOf(samples, { blocks, bytes, copied }))
  return {
    startedAt,
    machine: describeMachine(),
    versions: versions(),
    device: { name: device.name, reason: chosen.reason, gpu: await describeGpu(chosen, libraryFolder) },
    weights,
    workload,
    copy: { bytes: workload.copyBytes, ms: summarize(copyMs), bytesPerSecond: copied },
    results,
    leftOut,
    // Promised of GPUs: a small span on a processor shows that the benchmark runs.
    criteria: chosen.gpu === null ? [] : criteriaOf(sampled, copied, seed)
  }
}

async function describeGpu({ gpu }: ChosenDevice, libraryFolder: string | undefined) {
  if (gpu === null) return null
  const { driver, cudaVersion, provider } = await inspectCuda(libraryFolder, () => false)
  return { ...gpu, driver: driver.version, cuda: cudaVersion, provider }
}

const bytesOf: Readonly<Record<ComputeType, number>> = { f32: 4, f16: 2, bf16: 2 }

/** The workload without the spans that the device has no room for. @throws MeasurementError where none is left */
function withinMemory(workload: GpuWorkload, compute: ComputeType, { gpu }: ChosenDevice) {
  if (gpu === null) return { workload, leftOut: [] }
  const { shape, batches, pasts, prefillTokens } = workload
  const cachedTokens = Math.max(...batches) * (Math.max(...pasts) + prefillTokens + 1)
  const of = { shape, elementBytes: bytesOf[compute], cachedTokens, freeBytes: gpu.freeBytes }
  const { blocks, leftOut } = partByRoom(workload.blocks, of)
  if (blocks.length > 0) return { workload: { ...workload, blocks }, leftOut }
  const least = Math.min(...leftOut.map(({ bytes }) => bytes))
  throw new MeasurementError(`${gpu.name} has ${gpu.freeBytes} bytes free, and the smallest span takes ${least}`)
}

interface Sampled {
  readonly samples: GpuSamples
  readonly blocks: number
  readonly bytes: number
}

async function sampleAll(
  { shape, blocks: counts, pasts, prefillTokens }: GpuWorkload,
  compute: ComputeType,
  sampling: GpuSamplingInit,
  onProgress: GpuBenchInit['onProgress']
): Promise<Sampled[]> {
  const folder = await mkdtemp(join(tmpdir(), 'andthen-gpu-'))
  const maxLength = Math.max(...pasts) + prefillTokens
  try {
    onProgress?.('writing a model of random weights')
    const most = Math.max(...counts)
    const dtype = compute === 'f32' ? 'F32' : compute === 'f16' ? 'F16' : 'BF16'
    const init = { ...shape, blocks: most, maxLength, vocabSize: 32, tiedHead: true, dtype } as const
    await writeRandomModel(folder, init, sampling.signal)
    const model = await openModel(folder)
    const all: Sampled[] = []
    for (const blocks of counts) {
      onProgress?.(`spans of ${blocks} blocks`)
      const range = { from: 0, to: blocks }
      const graph = buildSpanGraph(model, range, { maxLength, compute })
      const perToken = kvBytesPerToken(model.spec, range, compute)
      for (const samples of await sampleSpan(graph, sampling)) {
        const { batch, past } = samples.variant
        all.push({ samples, blocks, bytes: graph.weightBytes + batch * past * perToken })
      }
    }
    return all
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** bfloat16 came with compute capability 8. */
function computeOf({ gpu }: ChosenDevice): ComputeType {
  if (gpu === null) return 'f32'
  return gpu.computeCapability[0] >= 8 ? 'bf16' : 'f16'
}

interface Circumstances {
  readonly blocks: number
  readonly bytes: number
  /** Bytes a second of copies. */
  readonly copied: number
}

function resultOf({ variant, runMs, queuedMs }: GpuSamples, { blocks, bytes, copied }: Circumstances): GpuResult {
  const ms = mean(runMs) ?? Number.NaN
  const bytesPerSecond = (1000 * bytes) / ms
  return {
    ...variant,
    blocks,
    runMs: summarize(runMs),
    queuedMs,
    bytes,
    bytesPerSecond,
    copyShare: bytesPerSecond / copied,
    outsideShare: queuedMs === null ? null : Math.max(0, 1 - queuedMs / ms)
  }
}

/** Of the longest span at batch 1: how near it comes to the memory's bandwidth, and that a long past costs its bytes only. */
function criteriaOf(all: readonly Sampled[], copied: number, seed: number): Criterion[] {
  const most = Math.max(...all.map(({ blocks }) => blocks))
  const single = all.filter(({ samples, blocks }) => {
    return blocks === most && samples.variant.kind === 'decode' && samples.variant.batch === 1
  })
  const [short, long] = [single[0], single.at(-1)]
  if (short === undefined || long === undefined) return []
  const share = (some: readonly number[]): number => (1000 * short.bytes) / (mean(some) ?? Number.NaN) / copied
  const { runMs } = short.samples
  const named = `${most} blocks, batch 1, past ${short.samples.variant.past}`
  const added = (mean(long.samples.runMs) ?? Number.NaN) - (mean(runMs) ?? Number.NaN)
  const allowed = (1000 * (long.bytes - short.bytes)) / copied / leastShare
  const growth = `what past ${long.samples.variant.past} adds, over its bytes at ${100 * leastShare}% of the copies' bandwidth`
  return [
    atLeast(
      `${named}: share of the copies' bandwidth`,
      leastShare,
      share(runMs),
      bootstrapInterval(runMs, share, seed)
    ),
    atMost(growth, 1, added / allowed)
  ]
}
