import { homedir } from 'node:os'
import { join } from 'node:path'
import { UsageError } from '../base/index.ts'
import type { ServeOptions } from '../node/index.ts'
import { parseBlocks } from './block-range.ts'
import { choice, parseDevice, parseWeights } from './choices.ts'
import { type FlagValues, list, present, toggle, value } from './flags.ts'
import { parseAdmin } from './host-port.ts'
import { defaultModel, parseModel } from './model-folder.ts'
import { networkFlags, networkOptions } from './network-flags.ts'
import { parseCount, parseDuration, parseNumber, parseSize } from './quantities.ts'
import { runtimeFlags, runtimeOptions } from './runtime-flags.ts'
import { parsePath } from './swarm-flags.ts'

const defaultDrainMs = 30_000
/** More than any machine has: ONNX Runtime would make as many as it is told. */
const MOST_THREADS = 1024
const parseShare = parseNumber('from 0 to 1', number => number >= 0 && number <= 1)

export const serveFlags = {
  blocks: value('A-B', 'blocks to serve, half open: 0-4 is blocks 0 to 3; or all', parseBlocks),
  model: value('DIR', "the model's folder", parseModel, 'the shipped tiny-shakespeare'),
  ...networkFlags,
  dataDir: value('DIR', 'where the identity is kept', parsePath, '~/.andthen'),
  device: value('DEVICE', 'auto, cpu or cuda[:N]', parseDevice, 'auto: a GPU that CUDA can use, else the CPU'),
  weights: value('TYPE', 'auto, f32, bf16 or f16', parseWeights, 'auto, which never quantizes'),
  ...runtimeFlags,
  threads: value('N', 'threads that compute', parseCount(1, MOST_THREADS), 'one a core'),
  maxLength: value('TOKENS', 'longest session', parseCount(1), "the model's, at most 4096"),
  maxSessions: value('N', 'sessions at a time', parseCount(1), '8'),
  slots: value('N', 'of them, those that have KV cache at a time; the others are parked', parseCount(1), 'all'),
  memory: value('SIZE', 'memory to use at most, such as 4GiB', parseSize, 'what is free'),
  parkMemory: value('SIZE', 'memory for the KV cache of parked sessions', parseSize, '0'),
  delegateMemory: value('SIZE', 'memory for the routes that clients leave to this node; 0 is none', parseSize, '1GiB'),
  parkDir: value('DIR', 'folder for the KV cache of parked sessions that has no room in memory', parsePath, 'none'),
  parkSize: value('SIZE', 'most that goes into --park-dir', parseSize, '4GiB'),
  batching: value('POLICY', 'direct or oldest', choice(['direct', 'oldest']), 'direct'),
  queueDelay: value(
    'DURATION',
    'how long a token may wait for those of other sessions',
    parseDuration,
    'half a run, 1ms to 20ms'
  ),
  minUtilisation: value(
    'SHARE',
    'of the decoding sessions, worth a run without waiting for the others',
    parseShare,
    '1'
  ),
  preferredBatch: list('N', 'tokens that are worth a run at once', parseCount(1), 'all rows; with direct none'),
  preserveOrdering: toggle('tell results in the order in which tokens came, over all sessions'),
  idleTimeout: value('DURATION', 'a session without activity for so long ends; 0 is never', parseDuration, '10m'),
  grace: value('DURATION', 'how long a client that lost its connection may resume', parseDuration, '10s'),
  backlog: value('N', 'sessions that may wait for others to end', parseCount(0), '32'),
  backlogTimeout: value('DURATION', 'how long they may wait', parseDuration, '30s'),
  hooks: value('FILE', 'module that exports onStart or onEvict, called for each session', parsePath, 'none'),
  admin: value('HOST:PORT|off', 'where metrics, health and sessions are shown', parseAdmin, '127.0.0.1:0'),
  adminTokenFile: value('FILE', 'token wanted from those who ask there', parsePath),
  drainTimeout: value('DURATION', 'how long sessions may go on after the first SIGTERM', parseDuration, '30s'),
  dryRun: toggle('tell as JSON what memory this needs and whether it fits, and serve nothing')
}

export function serveOptions(given: FlagValues<typeof serveFlags>): ServeOptions & { readonly dryRun: boolean } {
  if (given.blocks === undefined) throw new UsageError('--blocks is missing: give a range such as 0-4, or all')
  const { threads, maxLength, slots, memory, parkMemory, delegateMemory, parkDir, parkSize } = given
  const { minUtilisation, preferredBatch, preserveOrdering } = given
  const { batching, queueDelay: queueDelayMs, idleTimeout: idleTimeoutMs, grace: graceMs } = given
  const { backlog, backlogTimeout: backlogTimeoutMs, hooks, adminTokenFile } = given
  return {
    model: given.model ?? defaultModel,
    blocks: given.blocks,
    dataDir: given.dataDir ?? join(homedir(), '.andthen'),
    device: given.device ?? 'auto',
    weights: given.weights ?? 'auto',
    maxSessions: given.maxSessions ?? 8,
    admin: given.admin ?? { host: '127.0.0.1', port: 0 },
    drainTimeoutMs: given.drainTimeout ?? defaultDrainMs,
    dryRun: given.dryRun ?? false,
    ...networkOptions(given),
    ...runtimeOptions(given),
    ...present({ threads, maxLength, slots, memory, parkMemory, delegateMemory, parkDir, parkSize }),
    ...present({ minUtilisation, preferredBatch, preserveOrdering }),
    ...present({ batching, queueDelayMs, idleTimeoutMs, graceMs, backlog, backlogTimeoutMs, hooks, adminTokenFile })
  }
}
