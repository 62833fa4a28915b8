import { readFile } from 'node:fs/promises'
import { type AndthenError, fileProblem, type Logger, silentLogger, systemClock, UsageError } from '../base/index.ts'
import {
  type Admin,
  type AdminSources,
  createAdmin,
  createMetrics,
  demandTokenBeyondLoopback
} from '../gateway/index.ts'
import {
  createLedger,
  createSpanLane,
  InferenceServer,
  type InferenceServerComponents,
  serveInfo
} from '../inference/index.ts'
import { buildSpanGraph, kvBytesPerToken, type Model, openModel } from '../model/index.ts'
import { verifySignature } from '../network/index.ts'
import { loadSpan, type SpanRunner } from '../runtime/index.ts'
import { createDigester } from '../wire/index.ts'
import { demandFit, planFor, type ServePlan } from './plan.ts'
import { readyInfo, shownLedger, wireInfo } from './serve-info.ts'
import { registerMetrics } from './serve-metrics.ts'
import { checkNetwork, knowsItsClients, startNetwork } from './serve-network.ts'
import type { ReadyInfo, ServeOptions } from './serve-options.ts'
import { batchingPolicy, checkParking, openParking, sessionHooks, tableInit } from './serve-sessions.ts'
import { type SpanPlace, spanPlace } from './span-place.ts'
import { Taken } from './taken.ts'

const DEFAULT_DRAIN_MS = 30_000
/** Steps and bytes of one owner under way at once: a long prompt's pieces, at most so much memory. */
const CREDIT = { steps: 16, bytes: 16 * 1024 * 1024 }
const MAX_TENTATIVE = 8

/** A node that serves a span. */
export interface ServerNode {
  readonly info: ReadyInfo
  /** Resolves, with the reason, when this process cannot compute any more; what is left to do is to `close` and to start anew. */
  readonly failed: Promise<AndthenError>
  /** Takes no new session and lets running ones go on, for `drainTimeoutMs` at most. */
  drain(): Promise<void>
  /** Ends all sessions and gives back every resource. */
  close(): Promise<void>
}

/**
 * Serves a span of a model's blocks until `close`.
 *
 * 1. open the model, choose the device, check the range and the memory that it takes, and whatever else may be wrong
 * 2. load the span, 3. start the network, 4. answer
 *
 * @param onPlan is told what will be served and what that takes, before it is checked
 * @throws ModelFileError, BlocksError, MemoryError, HooksError, RuntimeLoadError, DeviceUnavailableError, ListenError, IdentityError, UsageError
 */
export async function serve(options: ServeOptions, onPlan?: (plan: ServePlan) => void): Promise<ServerNode> {
  const logger = options.logger ?? silentLogger
  const model = await openModel(options.model)
  const place = await spanPlace(model, options)
  const plan = planFor(model, options, place)
  onPlan?.(plan)
  const { maxLength } = plan
  if (options.maxLength !== undefined && options.maxLength > maxLength)
    logger.warn({ asked: options.maxLength, maxLength }, 'longer sessions were asked for than the model is made for')
  demandFit(plan)
  await checkParking(options, plan)
  await checkNetwork(options)
  const policy = batchingPolicy(options, plan.slots)
  const { preserveOrdering = false } = options
  const hooks = await sessionHooks(options)
  const token = await readToken(options.adminTokenFile)
  if (typeof options.admin === 'object')
    demandTokenBeyondLoopback({ ...options.admin, ...(token !== undefined && { token }) })
  const modelDigest = await model.digest()
  const taken = new Taken()
  const close = (): Promise<void> => taken.giveBack()
  let onLost: (error: AndthenError) => void = () => undefined
  const failed = new Promise<AndthenError>(resolve => {
    onLost = resolve
  })
  try {
    const runner = await loadRunner(model, plan, { ...options, logger, onLost }, place)
    taken.push(() => runner.close())
    const lane = createSpanLane({ clock: systemClock, runner }, { policy, preserveOrdering })
    taken.push(() => lane.close())
    const { network, identity } = await startNetwork(options, logger)
    taken.push(() => network.close())
    const parking = await openParking(options, network.peerId)
    const components = { runner, lane, network, logger, sign: identity.sign, clock: systemClock, hooks, parking }
    const answering = await answer({ model, modelDigest, plan, token }, components, options, taken)
    return { ...answering, failed, close }
  } catch (error) {
    await close()
    throw error
  }
}

interface About {
  readonly model: Model
  readonly modelDigest: Uint8Array
  readonly plan: ServePlan
  readonly token: string | undefined
}

type Components = Pick<
  InferenceServerComponents,
  'runner' | 'lane' | 'network' | 'logger' | 'sign' | 'clock' | 'hooks' | 'parking'
>

async function answer(
  { model, modelDigest, plan, token }: About,
  components: Components,
  options: ServeOptions,
  taken: Taken
): Promise<Omit<ServerNode, 'close' | 'failed'>> {
  const { runner, network, logger } = components
  const { hiddenSize } = runner
  const [from, to] = plan.blocks
  const ledger = createLedger()
  const server = new InferenceServer(
    {
      ...components,
      facts: { peerId: network.peerId, modelDigest, from, to, hiddenSize, maxLength: plan.maxLength },
      limits: { maxTentative: MAX_TENTATIVE, creditSteps: CREDIT.steps, creditBytes: creditBytes(hiddenSize) },
      digest: createDigester({ modelDigest, hiddenSize }),
      verify: verifySignature,
      ledger
    },
    {
      ...tableInit(options, plan),
      kvBytesPerToken: kvBytesPerToken(model.spec, { from, to }, plan.weights),
      ...(options.delegateMemory !== undefined && { delegateMemoryBytes: options.delegateMemory }),
      trustPriorities: knowsItsClients(options),
      ...(options.peerLimits?.sessions !== undefined && { maxSessionsPerOwner: options.peerLimits.sessions })
    }
  )
  taken.push(() => server.close())
  const sources = { model, modelDigest, plan, runner, network }
  let draining = false
  await serveInfo({ network, logger }, () => wireInfo(sources, server, draining))
  await server.start()
  const metrics = createMetrics()
  registerMetrics(metrics, { server, network, ledger, memoryBytes: runner.memoryBytes, draining: () => draining })
  const admin: Admin | undefined = await startAdmin(options, token, logger, {
    ready: () => !draining,
    info: () => ({ ...readyInfo(sources, admin?.address ?? null), ledger: shownLedger(ledger) }),
    sessions: () => server.sessions(),
    deleteSession: id => server.endSession(id),
    metrics
  })
  taken.push(async () => {
    draining = true
    await admin?.close()
  })
  return {
    info: readyInfo(sources, admin?.address ?? null),
    async drain() {
      draining = true
      await server.drain({ timeoutMs: options.drainTimeoutMs ?? DEFAULT_DRAIN_MS })
    }
  }
}

function loadRunner(
  model: Model,
  plan: ServePlan,
  { onnxruntime, signal, logger = silentLogger, onLost }: ServeOptions & { onLost: (error: AndthenError) => void },
  { device, compute }: SpanPlace
): Promise<SpanRunner> {
  const [from, to] = plan.blocks
  const graph = buildSpanGraph(model, { from, to }, { maxLength: plan.maxLength, compute })
  return loadSpan(graph, {
    device,
    slots: plan.slots,
    maxLength: plan.maxLength,
    threads: plan.threads,
    logger,
    onLost,
    // A library that was named is used, or its absence told.
    ...(onnxruntime === undefined ? {} : { libraryFolder: onnxruntime, binding: 'c-api' }),
    ...(signal === undefined ? {} : { signal })
  })
}

/** A session's tensors under way: room for at least 8 tokens of the widest models. */
function creditBytes(hiddenSize: number): number {
  return Math.max(CREDIT.bytes, 8 * 4 * hiddenSize)
}

async function startAdmin(
  options: ServeOptions,
  token: string | undefined,
  logger: Logger,
  sources: AdminSources
): Promise<Admin | undefined> {
  const where = options.admin ?? { host: '127.0.0.1', port: 0 }
  if (where === 'off') return undefined
  return createAdmin({ ...where, logger, ...(token === undefined ? {} : { token }) }, sources)
}

async function readToken(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined
  const token = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new UsageError(`--admin-token-file: "${file}" cannot be read: ${fileProblem(cause)}`, { cause })
  })
  if (token.trim() === '')
    throw new UsageError(
      `--admin-token-file: "${file}" is empty: write a token into it, such as openssl rand -hex 32 makes`
    )
  return token.trim()
}
