import { type FileHandle, open } from 'node:fs/promises'
import { AndthenError, fileProblem, UsageError } from '../base/index.ts'
import type { GeneratedToken, GenerationResult } from '../client/index.ts'
import type { ConnectOptions, GenerateOptions } from '../node/index.ts'
import type { PortableProof } from '../wire/index.ts'
import { defaultRoute } from './choices.ts'
import { type Context, defineCommand } from './command.ts'
import { dryRun } from './dry-run.ts'
import { explain } from './explain.ts'
import { type FlagValues, present } from './flags.ts'
import { failureJson } from './generate-failure.ts'
import { defaultNewTokens, defaultTimeouts, generateFlags } from './generate-flags.ts'
import { interruptible } from './interrupts.ts'
import { defaultModel } from './model-folder.ts'
import { keepProofs, proofDirOf } from './proof-files.ts'
import { exitStatus } from './report.ts'
import { swarmOptions } from './swarm-flags.ts'

interface GenerateCommandOptions {
  readonly connect: ConnectOptions
  readonly generate: GenerateOptions
  readonly json: boolean
  readonly explain: boolean
  /** File that raw timestamps go to. */
  readonly trace?: string
  /** Folder that proofs go to. */
  readonly proofDir: string
  /** Predict, and generate nothing. */
  readonly dryRun: boolean
}

export const generateCommand = defineCommand({
  name: 'generate',
  summary: 'continue a text through a chain of servers',
  flags: generateFlags,
  options: optionsFrom,
  run(options, context) {
    if (options.dryRun) return dryRun(options.connect, options.json, context)
    return options.json ? generateJson(options, context) : generateText(options, context)
  }
})

function optionsFrom(given: FlagValues<typeof generateFlags>): GenerateCommandOptions {
  const { peers = [], prompt, promptIds, chat, temperature, topP, topK, repetitionPenalty, seed, priority } = given
  if (peers.length === 0) throw new UsageError('--peers is missing: give the addresses that the servers print')
  const prompts = [prompt, promptIds].filter(given => given !== undefined).length
  if (prompts > 1 || (prompts === 0 && given.dryRun !== true))
    throw new UsageError('give one of --prompt and --prompt-ids')
  if (chat && promptIds !== undefined)
    throw new UsageError('--chat wants --prompt: ids are given to the model as they are')
  return {
    connect: {
      model: given.model ?? defaultModel,
      peers,
      route: given.route ?? defaultRoute,
      verify: given.verify ?? 'auto',
      timeouts: {
        connectMs: given.connectTimeout ?? defaultTimeouts.connectMs,
        stepMs: given.stepTimeout ?? defaultTimeouts.stepMs,
        waitMs: given.wait ?? defaultTimeouts.waitMs
      },
      ...swarmOptions(given)
    },
    generate: {
      ...present({ prompt, promptIds, chat }),
      maxNewTokens: given.maxNewTokens ?? defaultNewTokens,
      sampling: given.sampling ?? 'settings',
      ...present({ temperature, topP, topK, repetitionPenalty, seed, priority }),
      stop: given.stop ?? []
    },
    json: given.json ?? false,
    explain: given.explain ?? false,
    proofDir: proofDirOf(given),
    dryRun: given.dryRun ?? false,
    ...present({ trace: given.trace })
  }
}

async function generateText(options: GenerateCommandOptions, context: Context): Promise<number> {
  const { terminal } = context
  let shown = false
  const result = await generating(options, context, piece => {
    terminal.out(piece.text)
    shown ||= piece.text !== ''
  })
  if (shown && terminal.outIsTTY) terminal.out('\n')
  if (options.explain) terminal.err(`${explain(result)}\n`)
  return result.finishReason === 'cancelled' ? exitStatus.interrupted : exitStatus.done
}

async function generateJson(options: GenerateCommandOptions, context: Context): Promise<number> {
  const { terminal, blame } = context
  const pieces: GeneratedToken[] = []
  try {
    const result = await generating(options, context, piece => pieces.push(piece))
    terminal.out(`${JSON.stringify(result)}\n`)
    if (options.explain) terminal.err(`${explain(result)}\n`)
    return result.finishReason === 'cancelled' ? exitStatus.interrupted : exitStatus.done
  } catch (thrown) {
    terminal.out(`${JSON.stringify(failureJson(blame(thrown), pieces))}\n`)
    throw thrown
  }
}

/** One generation over a connection of its own, each piece shown as it comes. */
async function generating(
  options: GenerateCommandOptions,
  { terminal, logger, signal }: Context,
  show: (piece: GeneratedToken) => void
): Promise<GenerationResult> {
  const read = () => interruptible('reading the prompt from stdin', () => terminal.input(), signal)
  const asked = { ...options.generate, ...(options.generate.prompt === '-' && { prompt: await read() }) }
  const { connect } = await import('../node/index.ts')
  // Opened first, so that a long generation is not lost to a file that cannot be written.
  const trace = options.trace === undefined ? undefined : await openTrace(options.trace)
  const lines: string[] = []
  const proofs: PortableProof[] = []
  try {
    const connection = await connect({ ...options.connect, prompt: asked, logger, signal })
    try {
      const onTrace = trace === undefined ? {} : { onTrace: (line: string) => void lines.push(`${line}\n`) }
      const onProof = (proof: PortableProof): void => void proofs.push(proof)
      const generation = connection.generate({ ...asked, ...onTrace, onProof, signal })
      for await (const piece of generation) show(piece)
      return await generation.result
    } finally {
      await connection.close()
    }
  } finally {
    await keepProofs(proofs, options.proofDir, terminal)
    if (trace !== undefined) await writeTrace(trace, lines, options.trace)
  }
}

async function openTrace(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'w')
  } catch (cause) {
    throw new UsageError(`--trace: "${path}" cannot be written: ${fileProblem(cause)}`, { cause })
  }
}

async function writeTrace(file: FileHandle, lines: readonly string[], path = ''): Promise<void> {
  try {
    await file.writeFile(lines.join(''))
  } catch (cause) {
    throw new AndthenError('TRACE', `--trace: "${path}" cannot be written: ${fileProblem(cause)}`, { cause })
  } finally {
    await file.close()
  }
}
