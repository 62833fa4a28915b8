import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openModel, writeRandomModel } from '../model/index.ts'
import { type AbandonedFigures, measureAbandoned } from './abandoned.ts'
import { type BatchFigures, measureBatch } from './batch-gain.ts'
import { Child } from './child.ts'
import type { ClientCalls } from './client/client-calls.ts'
import { atLeast, atMost, type Criterion } from './criteria.ts'
import { describeMachine, type Machine, type Versions, versions } from './machine.ts'
import { type DelayFigures, measureDelay } from './prefill-delay.ts'
import { ServerProcess } from './processes.ts'
import { programUrl } from './program.ts'
import { schema } from './report.ts'

export interface SessionsInit {
  /** Node's arguments that start `serve`. */
  readonly serve: readonly string[]
  /** @default 12 blocks of random weights: hidden 768, 12 heads, 4 of keys and values, feed-forward 2048 */
  readonly model?: string | undefined
  /** That the abandoned sessions are of. */
  readonly shippedModel: string
  /** Sessions that decode at the same time. @default 8 */
  readonly decoders?: number | undefined
  /** Steps of each in a round. @default 20 */
  readonly steps?: number | undefined
  /** Tokens of the long prompt. @default 1024 */
  readonly promptTokens?: number | undefined
  /** Sessions that are opened and abandoned. @default 10,000 */
  readonly abandoned?: number | undefined
  /** @default 10 */
  readonly rounds?: number | undefined
  readonly seed: number
  readonly signal?: AbortSignal | undefined
  readonly onProgress: (what: string) => void
}

export interface SessionsReport {
  readonly schema: typeof schema
  readonly command: 'sessions'
  readonly seed: number
  readonly startedAt: string
  readonly versions: Versions
  readonly machine: Machine
  readonly model: string
  readonly batch: BatchFigures
  readonly delay: DelayFigures
  readonly abandoned: AbandonedFigures
  readonly criteria: readonly Criterion[]
}

/** Tokens in the cache of those who decode. */
const past = 100
const randomShape = { blocks: 12, hiddenSize: 768, heads: 12, kvHeads: 4, mlpSize: 2048, vocabSize: 64 }
const limits = { gain: 0.9, pieces: 1, growth: 0.05 }

/** What sessions that share a server take, and what they leave behind. */
export async function benchSessions(init: SessionsInit): Promise<SessionsReport> {
  const startedAt = new Date().toISOString()
  const folder = await mkdtemp(join(tmpdir(), 'andthen-sessions-'))
  const client = new Child<ClientCalls>("the client's process", programUrl('client/client-process', import.meta.url))
  const stop = (): void => void client.close()
  init.signal?.addEventListener('abort', stop, { once: true })
  try {
    const { batch, delay, model } = await shared(init, client, folder)
    const abandoned = await measureAbandoned(client, { ...init, sessions: init.abandoned ?? 10_000, folder })
    const figures = { batch, delay, abandoned }
    const about = { seed: init.seed, startedAt, versions: versions(), machine: describeMachine(), model }
    return { schema, command: 'sessions', ...about, ...figures, criteria: criteriaOf(figures) }
  } finally {
    init.signal?.removeEventListener('abort', stop)
    await client.close()
    await rm(folder, { recursive: true, force: true })
  }
}

async function shared(init: SessionsInit, client: Child<ClientCalls>, folder: string) {
  const { decoders = 8, steps = 20, promptTokens = 1024, rounds = 10, seed, onProgress } = init
  const maxLength = Math.max(promptTokens, past + steps) + 16
  const model = init.model ?? join(folder, 'random')
  if (init.model === undefined) {
    onProgress('writing a model of random weights')
    await writeRandomModel(model, { ...randomShape, maxLength, tiedHead: true, seed })
  }
  onProgress('starting a server')
  const limits = ['--threads', '1', '--max-length', String(maxLength), '--max-sessions', String(decoders)]
  const where = ['--model', model, '--blocks', 'all', '--listen', '/ip4/127.0.0.1/tcp/0', '--log-format', 'json']
  const server = await ServerProcess.start({ arguments: [...init.serve, ...where, ...limits] })
  try {
    const peers = server.ready.addresses.slice(0, 1)
    const { chain } = await client.ask('connect', { model, peers, threads: 1 })
    const sessions = await client.ask('openDecoders', { chain, sessions: decoders, past, maxLength })
    const of = { decoders: sessions, rounds, seed, onProgress }
    const opened = await openModel(model)
    const batch = await measureBatch(client, opened, { ...of, sessions: decoders, steps, past })
    const delay = await measureDelay(client, { ...of, tokens: promptTokens })
    await client.ask('closeDecoders', sessions)
    return { batch, delay, model: opened.name }
  } finally {
    await server.stop()
  }
}

function criteriaOf({
  batch,
  delay,
  abandoned
}: Pick<SessionsReport, 'batch' | 'delay' | 'abandoned'>): readonly Criterion[] {
  const { sessions, share } = batch
  const { tokens, pieces } = delay
  const { started, evicted, wrong, growth } = abandoned
  const missed = Math.abs(started - abandoned.sessions) + Math.abs(evicted - abandoned.sessions) + wrong
  return [
    atLeast(
      `${sessions} decoders: what they gain over one, of what ONNX Runtime alone gains`,
      limits.gain,
      share.value,
      share.ci95
    ),
    atMost(
      `a prompt of ${tokens} tokens: its pieces between two steps of another session`,
      limits.pieces,
      pieces.value,
      pieces.ci95
    ),
    atMost(`${abandoned.sessions} sessions abandoned: growth of memory, of what it was`, limits.growth, growth),
    atMost(`${abandoned.sessions} sessions abandoned: hooks that did not run just once`, 0, missed)
  ]
}
