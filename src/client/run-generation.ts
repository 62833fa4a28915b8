import type { Clock, Logger } from '../base/index.ts'
import type { Model } from '../model/index.ts'
import type { Network } from '../network/index.ts'
import { type PassTrace, traceLines } from '../inference/index.ts'
import type { EndsRunner } from '../runtime/index.ts'
import { type Digester, type PortableProof, portableProof, type VerifyPolicyName } from '../wire/index.ts'
import { Chain } from './chain.ts'
import type { RouteName } from './server-choice.ts'
import { Continuation } from './continuation.ts'
import { Decoder } from './decode.ts'
import { undelegatedPasses } from './delegated-trace.ts'
import type { Candidate } from './directory.ts'
import { PromptTooLongError } from './errors.ts'
import { latencyFigures, pushFigures, type TimedStep } from './figures.ts'
import type { GenerationResult, GenerationWork } from './generation.ts'
import { type Prompt, promptIdsOf } from './prompt.ts'
import { createSampler } from './sampling.ts'
import type { SamplingSettings } from './sampling-settings.ts'
import type { Standing } from './standing.ts'
import { TextStream } from './text-stream.ts'
import { chooseTiling } from './tiling.ts'

export interface GenerateOptions extends Prompt, SamplingSettings {
  /** @default 128 */
  readonly maxNewTokens?: number | undefined
  /** Texts that end the continuation; they are not part of it. @default [] */
  readonly stop?: readonly string[] | undefined
  /** @default 'push' */
  readonly route?: RouteName | undefined
  /** @default 'auto' */
  readonly verify?: VerifyPolicyName | undefined
  /**
   * Below 0 its sessions give way to others' in backlogs and for room; above 0 others give way, on servers that let peers in
   * by their ids. @default 0
   */
  readonly priority?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** Gets the raw stamps as JSON lines, one a step and hop, when the generation ends. */
  readonly onTrace?: ((line: string) => void) | undefined
  /** Gets every time that the figures were made of, when the generation ends. */
  readonly onTimes?: ((times: RawTimes) => void) | undefined
  /** Gets each proof that a server lied, when the generation ends, however it ends. */
  readonly onProof?: ((proof: PortableProof) => void) | undefined
}

/** What a generation's figures are made of. */
export interface RawTimes {
  /** Decode steps in order. */
  readonly steps: readonly TimedStep[]
  /** When each token was emitted, ms of the client's clock. */
  readonly emittedMs: readonly number[]
}

/** What generations of one connection share. */
export interface GenerationParts {
  readonly network: Network
  readonly model: Model
  readonly logger: Logger
  readonly clock: Clock
  /** From 0 to 1. */
  readonly random: () => number
  readonly ends: EndsRunner
  readonly standing: Standing
  readonly digest: Digester
  readonly modelDigest: Uint8Array
  readonly candidates: readonly Candidate[]
  readonly stepTimeoutMs: number
  readonly waitMs: number
  readonly setup: { readonly loadMs: number; readonly connectMs: number }
}

const DEFAULT_NEW_TOKENS = 128

/** One generation from its prompt to its figures, on sessions of its own. */
export async function runGeneration(
  parts: GenerationParts,
  options: GenerateOptions,
  work: GenerationWork
): Promise<GenerationResult> {
  const { clock, ends, model } = parts
  const { maxNewTokens = DEFAULT_NEW_TOKENS, stop = [], route = 'push', verify = 'auto' } = options
  const sampler = createSampler(options)
  const promptIds = await promptIdsOf(model, options)
  const tokenizer = await model.tokenizer()
  const { candidates, leftOut } = longEnough(parts, promptIds.length, maxNewTokens)
  const opening = clock.now()
  const chain = await Chain.open(
    parts,
    {
      candidates,
      modelDigest: parts.modelDigest,
      blocks: model.spec.blocks,
      hiddenSize: model.spec.hiddenSize,
      route,
      verify,
      priority: options.priority,
      maxLength: promptIds.length + maxNewTokens,
      stepTimeoutMs: parts.stepTimeoutMs,
      waitMs: parts.waitMs
    },
    work
  )
  const opened = clock.now()
  const decoder = new Decoder({ chain, ends, sampler, now: () => clock.now() })
  const continuation = new Continuation(decoder, new TextStream(tokenizer, stop), work, clock)
  const finishReason = await continuation
    .run(promptIds, maxNewTokens, model.generation.eosTokenIds)
    .finally(async () => {
      for (const proof of (await chain.close()).proofs) options.onProof?.(portableProof(proof))
    })
  const report = await chain.close()
  if (options.onTrace !== undefined) for (const line of chain.traces.flatMap(traceLines)) options.onTrace(line)
  const { emittedMs, tokenIds, text } = continuation
  options.onTimes?.({ steps: decoder.steps, emittedMs })
  const pings = new Map(chain.servers.map(({ peerId, pingMs }) => [peerId, pingMs]))
  return {
    text: tokenizer === null ? null : text,
    promptIds,
    tokenIds,
    finishReason,
    timeToFirstTokenMs: emittedMs[0] === undefined ? null : emittedMs[0] - opened,
    setup: { ...parts.setup, openMs: opened - opening },
    tokensPerStep: decoder.steps.length === 0 ? null : 1,
    route,
    verify,
    settings: { ...sampler.settings, maxNewTokens, stop },
    ...latencyFigures(decoder.steps, emittedMs, pings),
    pushes: pushFigures(chain.traces, report.pushes),
    verified: verify === 'none' ? 0 : chain.traces.reduce((sum, pass) => sum + pushedSteps(pass), 0),
    committed: report.committed,
    replays: report.replays,
    resumes: report.resumes,
    undelegated: route === 'delegate' ? undelegatedPasses(chain.traces) : 0,
    leftOut,
    proofs: report.proofs.map(portableProof)
  }
}

/** Server-steps of a pass that were pushed to: a delegate gives the second server its inputs, as a client does. */
function pushedSteps({ pushed, delegated = false }: PassTrace): number {
  return pushed.filter((is, i) => is && !(delegated && i === 1)).length
}

/** The servers whose sessions can hold prompt and continuation, and those that cannot. */
function longEnough({ candidates, model, logger }: GenerationParts, promptTokens: number, newTokens: number) {
  const { blocks } = model.spec
  const tokens = promptTokens + newTokens
  const free = (servers: readonly Candidate[]) => servers.map(server => ({ ...server, cost: [-server.maxLength] }))
  const fitting = candidates.filter(({ maxLength }) => maxLength >= tokens)
  if (chooseTiling(free(fitting), blocks).missing.length > 0) {
    const { chosen } = chooseTiling(free(candidates), blocks)
    throw new PromptTooLongError(promptTokens, newTokens, Math.min(...chosen.map(({ maxLength }) => maxLength)))
  }
  const short = candidates.filter(({ maxLength }) => maxLength < tokens)
  const leftOut = short.map(({ peerId, maxLength }) => ({ peerId, maxLength }))
  if (leftOut.length > 0) logger.warn({ tokens, leftOut }, 'servers are left out whose sessions are too short for this')
  return { candidates: fitting, leftOut }
}
