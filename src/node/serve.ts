import { readFile } from 'node:fs/promises'
import { type Logger, silentLogger, systemClock, UsageError, version } from '../base/index.ts'
import { type Admin, createAdmin, createMetrics } from '../gateway/index.ts'
import { createLedger, createSpanLane, InferenceServer, type Ledger, serveInfo } from '../inference/index.ts'
import { buildSpanGraph, kvBytesPerToken, type Model, openModel } from '../model/index.ts'
import { createNetwork, freeListenAddresses, type Network, verifySignature } from '../network/index.ts'
import { loadSpan, type SpanRunner } from '../runtime/index.ts'
import { direct } from '../session/index.ts'
import { Codec, createDigester, INFERENCE_PROTOCOL, type Info } from '../wire/index.ts'
import { nodeIdentity } from './identity.ts'
import { demandFit, planFor, type ServePlan } from './plan.ts'
import { registerMetrics } from './serve-metrics.ts'
import type { ReadyInfo, ServeOptions } from './serve-options.ts'

const DEFAULT_LISTEN = ['/ip4/0.0.0.0/tcp/31226', '/ip6/::/tcp/31226']
const DEFAULT_DRAIN_MS = 30_000
/** Steps and bytes of one owner under way at once: a long prompt's pieces, at most so much memory. */
const CREDIT = { steps: 16, bytes: 16 * 1024 * 1024 }
const MAX_TENTATIVE = 8

/** A node that serves a span. */
export interface ServerNode {
  readonly info: ReadyInfo
  /** Takes no new session and lets running ones go on, for `drainTimeoutMs` at most. */
  drain(): Promise<void>
  /** Ends all sessions and gives back every resource. */
  close(): Promise<void>
}

/**
 * Serves a span of a model's blocks until `close`.
 *
 * 1. open the model, check the range and the memory that it takes
 * 2. load the span, 3. start the network, 4. answer
 *
 * @throws ModelFileError, BlocksError, MemoryError, RuntimeLoadError, ListenError, IdentityError, UsageError
 */
export async function serve(options: ServeOptions): Promise<ServerNode> {
  const logger = options.logger ?? silentLogger
  const model = await openModel(options.model)
  const plan = planFor(model, options)
  demandFit(plan)
  const modelDigest = await model.digest()
  const token = await readToken(options.adminTokenFile)
  const runner = await loadRunner(model, plan, options, logger)
  try {
    const listen = await freeListenAddresses(options.listen ?? DEFAULT_LISTEN)
    reportMovedPorts(options.listen ?? DEFAULT_LISTEN, listen, logger)
    const identity = await nodeIdentity(options, listen)
    const network = await createNetwork({ identity, listen, announce: options.announce ?? [], logger })
    return await answer({ model, modelDigest, plan, runner, network, sign: identity.sign, logger }, options, token)
  } catch (error) {
    await runner.close()
    throw error
  }
}

async function loadRunner(model: Model, plan: ServePlan, options: ServeOptions, logger: Logger): Promise<SpanRunner> {
  const [from, to] = plan.blocks
  const totalBytes = plan.memoryBytes.weights
  options.onProgress?.({ loadedBytes: 0, totalBytes })
  const graph = buildSpanGraph(model, { from, to }, { maxLength: plan.maxLength })
  const runner = await loadSpan(graph, {
    slots: plan.maxSessions,
    maxLength: plan.maxLength,
    threads: plan.threads,
    logger,
    ...(options.signal === undefined ? {} : { signal: options.signal })
  })
  options.onProgress?.({ loadedBytes: totalBytes, totalBytes })
  return runner
}

interface Parts {
  readonly model: Model
  readonly modelDigest: Uint8Array
  readonly plan: ServePlan
  readonly runner: SpanRunner
  readonly network: Network
  readonly sign: (bytes: Uint8Array) => Uint8Array
  readonly logger: Logger
}

async function answer(parts: Parts, options: ServeOptions, token: string | undefined): Promise<ServerNode> {
  const { model, modelDigest, plan, runner, network, sign, logger } = parts
  const [from, to] = plan.blocks
  const { hiddenSize } = runner
  const clock = systemClock
  const ledger = createLedger()
  const lane = createSpanLane({ clock, runner }, { policy: direct() })
  const server = new InferenceServer(
    {
      facts: { peerId: network.peerId, modelDigest, from, to, hiddenSize, maxLength: plan.maxLength },
      limits: { maxTentative: MAX_TENTATIVE, creditSteps: CREDIT.steps, creditBytes: creditBytes(hiddenSize) },
      digest: createDigester({ modelDigest, hiddenSize }),
      verify: verifySignature,
      runner,
      lane,
      sign,
      clock,
      logger,
      ledger,
      network
    },
    { kvBytesPerToken: kvBytesPerToken(model.spec, { from, to }), maxSessions: plan.maxSessions }
  )
  let draining = false
  let admin: Admin | undefined
  const info = (): ReadyInfo => readyInfo(parts, admin?.address ?? null)
  const metrics = createMetrics()
  registerMetrics(metrics, { server, network, ledger })
  await serveInfo({ network, logger }, () => wireInfo(info(), server, draining, modelDigest, hiddenSize))
  await server.start()
  const close = async (): Promise<void> => {
    draining = true
    await admin?.close()
    await server.close()
    await network.close()
    await lane.close()
    await runner.close()
  }
  try {
    admin = await startAdmin(options, token, logger, {
      ready: () => !draining,
      info: () => ({ ...info(), ledger: shownLedger(ledger) }),
      sessions: () => server.sessions(),
      deleteSession: id => server.endSession(id),
      metrics
    })
  } catch (error) {
    await server.close()
    await network.close()
    throw error
  }
  return {
    info: info(),
    async drain() {
      draining = true
      await server.drain({ timeoutMs: options.drainTimeoutMs ?? DEFAULT_DRAIN_MS })
    },
    close
  }
}

/** A session's tensors under way: room for at least 8 tokens of the widest models. */
function creditBytes(hiddenSize: number): number {
  return Math.max(CREDIT.bytes, 8 * 4 * hiddenSize)
}

async function startAdmin(
  options: ServeOptions,
  token: string | undefined,
  logger: Logger,
  sources: Parameters<typeof createAdmin>[1]
): Promise<Admin | undefined> {
  const where = options.admin ?? { host: '127.0.0.1', port: 0 }
  if (where === 'off') return undefined
  return createAdmin({ ...where, logger, ...(token === undefined ? {} : { token }) }, sources)
}

async function readToken(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined
  const token = (await readFile(file, 'utf8')).trim()
  if (token === '') throw new UsageError(`the admin token file ${file} is empty`)
  return token
}

function reportMovedPorts(wanted: readonly string[], listen: readonly string[], logger: Logger): void {
  for (const [i, address] of listen.entries())
    if (address !== wanted[i])
      logger.warn({ wanted: wanted[i], listening: address }, 'port taken, listening on the next')
}

function readyInfo({ model, modelDigest, plan, runner, network }: Parts, admin: string | null): ReadyInfo {
  return {
    event: 'ready',
    peerId: network.peerId,
    addresses: network.addresses(),
    model: model.name,
    modelDigest: Buffer.from(modelDigest).toString('hex'),
    modelBlocks: plan.modelBlocks,
    blocks: plan.blocks,
    device: runner.runtime.device,
    deviceReason: `ONNX Runtime ${runner.runtime.version} through its ${runner.runtime.binding} binding: ${runner.runtime.reason}`,
    weights: 'f32',
    threads: plan.threads,
    maxLength: plan.maxLength,
    maxSessions: plan.maxSessions,
    memoryBytes: { weights: runner.memoryBytes.weights, kv: runner.memoryBytes.kv },
    reachable: 'unknown',
    admin,
    pid: process.pid,
    version,
    protocol: INFERENCE_PROTOCOL
  }
}

function wireInfo(
  info: ReadyInfo,
  server: InferenceServer,
  draining: boolean,
  modelDigest: Uint8Array,
  hiddenSize: number
): Info {
  const [from, to] = info.blocks
  return {
    version: info.version,
    protocol: info.protocol,
    model: info.model,
    modelDigest,
    modelBlocks: info.modelBlocks,
    from,
    to,
    hiddenSize,
    maxLength: info.maxLength,
    maxSessions: info.maxSessions,
    sessions: server.sessions().length,
    device: info.device,
    weights: info.weights,
    codecs: [Codec.f32],
    addresses: [...info.addresses],
    delegate: true,
    delegateBytes: server.delegateBytes,
    draining
  }
}

function shownLedger(ledger: Ledger): object {
  const { tokens, sessions, clients, bytesOut, mismatches, pushes, ignored } = ledger
  return { tokens, sessions, clients: clients.size, bytesOut, mismatches, pushes, ignored: Object.fromEntries(ignored) }
}
