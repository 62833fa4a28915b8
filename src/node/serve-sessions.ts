import { join } from 'node:path'
import { counted, makeFolder, makeProblem, UsageError } from '../base/index.ts'
import {
  type BatchingPolicy,
  direct,
  HostParking,
  oldest,
  type ParkingLot,
  type SessionHooks as TableHooks,
  type SessionTableInit
} from '../session/index.ts'
import { loadHooks, tableHooks } from './hooks.ts'
import type { ServePlan } from './plan.ts'
import type { ServeOptions, ServeSessionOptions } from './serve-options.ts'

const GiB = 1024 ** 3
const second = 1000
const DEFAULT_PARK_BYTES = 4 * GiB
const DEFAULT_BACKLOG = 32
const DEFAULT_BACKLOG_MS = 30 * second

/** How sessions are kept on this node; what is not given has the session table's own default. */
export function tableInit(
  options: ServeSessionOptions,
  plan: Pick<ServePlan, 'blocks' | 'maxSessions'>
): Omit<SessionTableInit, 'slots'> {
  const { idleTimeoutMs, graceMs, backlog, backlogTimeoutMs } = options
  return {
    maxSessions: plan.maxSessions,
    follows: plan.blocks[0] > 0,
    backlog: { limit: backlog ?? DEFAULT_BACKLOG, deadlineMs: backlogTimeoutMs ?? DEFAULT_BACKLOG_MS },
    ...(idleTimeoutMs !== undefined && { idleLimitMs: idleTimeoutMs }),
    ...(graceMs !== undefined && { graceMs })
  }
}

/** @throws UsageError for a batch of more tokens than there are rows */
export function batchingPolicy(options: ServeSessionOptions, slots: number): BatchingPolicy {
  const { batching = 'direct', queueDelayMs, minUtilisation, preferredBatch } = options
  const tooMany = preferredBatch?.find(size => size > slots)
  if (tooMany !== undefined)
    throw new UsageError(
      `--preferred-batch ${tooMany} is more than the ${counted(slots, 'session')} with a row at a time`
    )
  const init = {
    ...(queueDelayMs !== undefined && { queueDelayMs }),
    ...(minUtilisation !== undefined && { minUtilisation }),
    ...(preferredBatch !== undefined && { preferredBatch })
  }
  return batching === 'direct' ? direct(init) : oldest({ ...init, maxCandidates: slots })
}

/** @throws HooksError */
export async function sessionHooks({ hooks }: ServeSessionOptions): Promise<TableHooks | undefined> {
  if (hooks === undefined) return undefined
  return tableHooks(typeof hooks === 'string' ? await loadHooks(hooks) : hooks)
}

/**
 * Where sessions are parked, if anywhere.
 *
 * @param peerId names the node's own part of `parkDir`
 * @throws UsageError for a folder that cannot be used
 */
export async function openParking(options: ServeOptions, peerId: string): Promise<ParkingLot | undefined> {
  const { parkMemory = 0, parkDir, parkSize = DEFAULT_PARK_BYTES } = options
  if (!parks(options)) return undefined
  if (parkDir === undefined) return HostParking.open({ memoryBytes: parkMemory })
  const disk = { directory: join(parkDir, peerId), bytes: parkSize }
  return inParkDir(parkDir, HostParking.open({ memoryBytes: parkMemory, disk }))
}

/** @throws UsageError for options of parking that do not go together, and for a folder that cannot be made */
export async function checkParking(options: ServeOptions, { slots, maxSessions }: ServePlan): Promise<void> {
  if (options.parkSize !== undefined && options.parkDir === undefined)
    throw new UsageError('--park-size is the limit of --park-dir, which is missing')
  if (slots > maxSessions) throw new UsageError(`--slots ${slots} is more than --max-sessions ${maxSessions}`)
  if (slots < maxSessions && !parks(options))
    throw new UsageError(
      `--slots ${slots} for ${counted(maxSessions, 'session')} needs a place for the others: give --park-memory or --park-dir`
    )
  if (options.parkDir !== undefined) await inParkDir(options.parkDir, makeFolder(options.parkDir, 0o700))
}

async function inParkDir<T>(parkDir: string, use: Promise<T>): Promise<T> {
  try {
    return await use
  } catch (cause) {
    throw new UsageError(`--park-dir: "${parkDir}" is no folder to write to: ${makeProblem(cause)}`, { cause })
  }
}

function parks({ parkMemory = 0, parkDir }: ServeOptions): boolean {
  return parkMemory > 0 || parkDir !== undefined
}
