import { availableParallelism } from 'node:os'
import { counted } from '../base/index.ts'
import { type ComputeType, kvBytesPerToken, type Model, openModel, spanBytes } from '../model/index.ts'
import { BlocksError, MemoryError } from './errors.ts'
import type { ServeOptions } from './serve-options.ts'
import { type SpanPlace, spanPlace } from './span-place.ts'

/** Node, ONNX Runtime and libp2p without weights and caches, measured, and room for the activations of a prefill. */
const BASE_BYTES = 256 * 1024 * 1024
/** An allowance, not measured: CUDA itself, the libraries' workspaces and the activations of a prefill. */
const GPU_BASE_BYTES = 1024 * 1024 * 1024
/** Of it, an allowance for what runs take of the provider's arena. */
const GPU_RUN_BYTES = 256 * 1024 * 1024
/** The first with flash attention (Ampere); before it, ONNX Runtime copies keys and values for every head that reads them. */
const FLASH_CAPABILITY = 8
const DEFAULT_MAX_LENGTH = 4096
const DEFAULT_MAX_SESSIONS = 8

/** What serving takes, told before anything is loaded. */
export interface ServePlan {
  readonly model: string
  readonly modelBlocks: number
  readonly blocks: readonly [from: number, to: number]
  /** `cpu`, `cuda:0`. */
  readonly device: string
  /** Why this device, for people. */
  readonly deviceReason: string
  /** The type that weights are computed in and caches are kept in. */
  readonly weights: ComputeType
  readonly threads: number
  readonly maxLength: number
  readonly maxSessions: number
  /** Of them, those that have a row of the KV cache at a time. */
  readonly slots: number
  /** Of the device's memory: a GPU's, where that computes. */
  readonly memoryBytes: {
    readonly weights: number
    readonly kv: number
    /** For parked sessions; the host's, and on a GPU no part of what is needed. */
    readonly parking: number
    readonly base: number
    readonly needed: number
    /** Most that weights, KV cache and runs may take of a GPU: the bound of its arena. Null without one. */
    readonly arena: number | null
    /** `memory`, or what is free. */
    readonly available: number
  }
  readonly fits: boolean
  /** The largest range from the same first block that fits; null when not even one block does. */
  readonly largestFit: readonly [from: number, to: number] | null
}

/**
 * What serving these blocks takes, and whether it fits.
 *
 * @throws ModelFileError, BlocksError for blocks that the model does not have, DeviceUnavailableError, RuntimeLoadError
 */
export async function planServe(options: ServeOptions): Promise<ServePlan> {
  const model = await openModel(options.model)
  return planFor(model, options, await spanPlace(model, options))
}

/** As `planServe`, for a model that is open and a device that is chosen. @throws BlocksError */
export function planFor(model: Model, options: ServeOptions, place: SpanPlace): ServePlan {
  const { spec } = model
  const { blocks: wanted = 'all' } = options
  const range = wanted === 'all' ? { from: 0, to: spec.blocks } : wanted
  if (range.to > spec.blocks)
    throw new BlocksError(
      `--blocks ${range.from}-${range.to} goes beyond the model, which has ${spec.blocks}: 0-${spec.blocks} serves all of them`,
      { details: { blocks: [range.from, range.to], modelBlocks: spec.blocks } }
    )
  const maxLength = Math.min(options.maxLength ?? DEFAULT_MAX_LENGTH, spec.maxLength)
  const maxSessions = options.maxSessions ?? DEFAULT_MAX_SESSIONS
  const slots = options.slots ?? maxSessions
  const parking = options.parkMemory ?? 0
  const { device, reason, gpu, compute } = place
  const available = options.memory ?? gpu?.freeBytes ?? process.availableMemory()
  const attention =
    gpu !== null && gpu.computeCapability[0] < FLASH_CAPABILITY ? copiedHeads(spec, slots, maxLength) : 0
  const base = gpu === null ? BASE_BYTES : GPU_BASE_BYTES + attention
  const bytesOf = (to: number): { weights: number; kv: number; needed: number } => {
    const span = { from: range.from, to }
    const weights = spanBytes(model, span, compute)
    const kv = kvBytesPerToken(spec, span, compute) * (maxLength + 1) * slots
    return { weights, kv, needed: base + weights + kv + (gpu === null ? parking : 0) }
  }
  const arena = gpu === null ? null : (options.cuda?.memoryLimit ?? null)
  const fitsTo = (to: number): boolean => {
    const { weights, kv, needed } = bytesOf(to)
    return needed <= available && (arena === null || weights + kv + attention + GPU_RUN_BYTES <= arena)
  }
  let fit = range.to
  while (fit > range.from && !fitsTo(fit)) fit--
  return {
    model: model.name,
    modelBlocks: spec.blocks,
    blocks: [range.from, range.to],
    device: device.name,
    deviceReason: reason,
    weights: compute,
    threads: options.threads ?? availableParallelism(),
    maxLength,
    maxSessions,
    slots,
    memoryBytes: { ...bytesOf(range.to), parking, base, available, arena },
    fits: fit === range.to,
    largestFit: fit > range.from ? [range.from, fit] : null
  }
}

/** Of one layer at a time: GroupQueryAttention's k_buffer and v_buffer, in 16 bits (group_query_attention.cc). */
function copiedHeads({ attention }: Model['spec'], slots: number, maxLength: number): number {
  const { heads, kvHeads, headDim } = attention
  return heads === kvHeads ? 0 : 2 * 2 * slots * heads * (maxLength + 1) * headDim
}

/** @throws MemoryError where the plan does not fit */
export function demandFit(plan: ServePlan): void {
  if (plan.fits) return
  const { weights, kv, needed, base, available, arena, parking } = plan.memoryBytes
  const memory = plan.device === 'cpu' ? 'memory' : `${plan.device}'s memory`
  const lacks =
    needed > available || arena === null
      ? `${mebibytes(needed)} of ${memory}, of which ${mebibytes(available)} may be used`
      : `${mebibytes(weights + kv + base - GPU_BASE_BYTES + GPU_RUN_BYTES)} of weights, KV cache and runs, for which --cuda-memory gives ${mebibytes(arena)}`
  const [from, to] = plan.blocks
  const instead =
    plan.largestFit === null
      ? `not even one block does: serve fewer sessions (--max-sessions) or shorter ones (--max-length)${parking > 0 ? ', or park less in memory (--park-memory)' : ''}`
      : `blocks ${plan.largestFit.join('-')} do`
  throw new MemoryError(
    `blocks ${from}-${to} with ${counted(plan.slots, 'session')} of ${counted(plan.maxLength, 'token')} need ${lacks}; ${instead}`,
    { details: { ...plan.memoryBytes, largestFit: plan.largestFit } }
  )
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024 ** 2)} MiB`
}
