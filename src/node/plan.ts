import { availableParallelism } from 'node:os'
import { kvBytesPerToken, type Model, openModel, spanBytes } from '../model/index.ts'
import { BlocksError, MemoryError } from './errors.ts'
import type { ServeOptions } from './serve-options.ts'

/** Node, ONNX Runtime and libp2p without weights and caches, measured, and room for the activations of a prefill. */
const BASE_BYTES = 256 * 1024 * 1024
const DEFAULT_MAX_LENGTH = 4096
const DEFAULT_MAX_SESSIONS = 8

/** What serving takes, told before anything is loaded. */
export interface ServePlan {
  readonly model: string
  readonly modelBlocks: number
  readonly blocks: readonly [from: number, to: number]
  readonly threads: number
  readonly maxLength: number
  readonly maxSessions: number
  /** Of them, those that have a row of the KV cache at a time. */
  readonly slots: number
  readonly memoryBytes: {
    readonly weights: number
    readonly kv: number
    /** For parked sessions. */
    readonly parking: number
    readonly base: number
    readonly needed: number
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
 * @throws ModelFileError, BlocksError for blocks that the model does not have
 */
export async function planServe(options: ServeOptions): Promise<ServePlan> {
  return planFor(await openModel(options.model), options)
}

/** As `planServe`, for a model that is open. @throws BlocksError */
export function planFor(model: Model, options: ServeOptions): ServePlan {
  const { spec } = model
  const { blocks: wanted = 'all' } = options
  const range = wanted === 'all' ? { from: 0, to: spec.blocks } : wanted
  if (range.to > spec.blocks)
    throw new BlocksError(
      `blocks ${range.from}-${range.to} go beyond the model, which has ${spec.blocks}: 0-${spec.blocks} serves all of them`,
      { details: { blocks: [range.from, range.to], modelBlocks: spec.blocks } }
    )
  const maxLength = Math.min(options.maxLength ?? DEFAULT_MAX_LENGTH, spec.maxLength)
  const maxSessions = options.maxSessions ?? DEFAULT_MAX_SESSIONS
  const slots = options.slots ?? maxSessions
  const parking = options.parkMemory ?? 0
  const available = options.memory ?? process.availableMemory()
  const bytesOf = (to: number): { weights: number; kv: number; needed: number } => {
    const span = { from: range.from, to }
    const weights = spanBytes(model, span)
    const kv = kvBytesPerToken(spec, span) * (maxLength + 1) * slots
    return { weights, kv, needed: BASE_BYTES + weights + kv + parking }
  }
  let fit = range.to
  while (fit > range.from && bytesOf(fit).needed > available) fit--
  return {
    model: model.name,
    modelBlocks: spec.blocks,
    blocks: [range.from, range.to],
    threads: options.threads ?? availableParallelism(),
    maxLength,
    maxSessions,
    slots,
    memoryBytes: { ...bytesOf(range.to), parking, base: BASE_BYTES, available },
    fits: fit === range.to,
    largestFit: fit > range.from ? [range.from, fit] : null
  }
}

/** @throws MemoryError where the plan does not fit */
export function demandFit(plan: ServePlan): void {
  if (plan.fits) return
  const { needed, available } = plan.memoryBytes
  const [from, to] = plan.blocks
  const instead =
    plan.largestFit === null
      ? 'not even one block does: serve fewer sessions (--max-sessions) or shorter ones (--max-length)'
      : `blocks ${plan.largestFit.join('-')} do`
  throw new MemoryError(
    `blocks ${from}-${to} with ${plan.slots} sessions of ${plan.maxLength} tokens need ${mebibytes(needed)}, of which ${mebibytes(available)} may be used; ${instead}`,
    { details: { ...plan.memoryBytes, largestFit: plan.largestFit } }
  )
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024 ** 2)} MiB`
}
