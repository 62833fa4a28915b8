import { fileURLToPath } from 'node:url'
import { CancelledError, counted, UsageError } from '../base/index.ts'
import type { ServerProcess } from '../bench/index.ts'
import type { GenerationResult } from '../client/index.ts'
import { defaultRoute } from './choices.ts'
import { type Context, defineCommand } from './command.ts'
import { toggle, value } from './flags.ts'
import { defaultNewTokens, defaultTimeouts, generationFlags } from './generate-flags.ts'
import { invocationOf } from './invocation.ts'
import { defaultModel } from './model-folder.ts'
import { exitStatus } from './report.ts'

const spans = ['0-4', '4-8', '8-12']
const serveArguments = [
  fileURLToPath(new URL('../../bin/serve', import.meta.url)),
  ...['--log-format', 'json', '--model', defaultModel, '--listen', '/ip4/127.0.0.1/tcp/0']
]
const defaultPrompt = 'ROMEO:\n'

const flags = {
  ...generationFlags,
  prompt: value('TEXT', 'the text to continue', text => text, JSON.stringify(defaultPrompt)),
  exit: toggle('end after the summary, in place of staying up')
}

export const startCommand = defineCommand({
  name: 'start',
  summary: 'a whole swarm on this machine: three servers, and a text generated through them',
  flags,
  options(given) {
    if (given.prompt === '-') throw new UsageError('--prompt: start takes a text, not stdin')
    return {
      prompt: given.prompt ?? defaultPrompt,
      maxNewTokens: given.maxNewTokens ?? defaultNewTokens,
      temperature: given.temperature ?? 0,
      route: given.route ?? defaultRoute,
      exit: given.exit ?? false
    }
  },
  async run(options, context) {
    const servers = await startAll(context)
    try {
      const result = await generateThrough(servers, options, context)
      context.terminal.err(`\n${summary(result, servers)}\n`)
      if (!options.exit) await staysUp(servers, context)
      return exitStatus.done
    } finally {
      await Promise.all(servers.map(server => server.stop()))
    }
  }
})

async function startAll({ terminal, signal }: Context): Promise<ServerProcess[]> {
  terminal.err(`Starting ${spans.length} servers of tiny-shakespeare, blocks ${spans.join(', ')}.\n`)
  const { startServers } = await import('../bench/index.ts')
  try {
    return await startServers(spans.map(blocks => ({ arguments: [...serveArguments, '--blocks', blocks] })))
  } catch (error) {
    // Ctrl-C in a terminal ends the servers too.
    throw signal.aborted ? new CancelledError('start', { cause: error }) : error
  }
}

async function generateThrough(
  servers: readonly ServerProcess[],
  options: { prompt: string; maxNewTokens: number; temperature: number; route: typeof defaultRoute },
  { terminal, logger, signal }: Context
): Promise<GenerationResult> {
  const { prompt, maxNewTokens, temperature, route } = options
  const peers = servers.flatMap(server => server.ready.addresses.slice(0, 1))
  const { connect } = await import('../node/index.ts')
  const connection = await connect({
    model: defaultModel,
    peers,
    route,
    verify: 'auto',
    timeouts: defaultTimeouts,
    logger,
    signal
  })
  try {
    terminal.err(`Continuing ${JSON.stringify(prompt)} through them (route ${route}):\n\n`)
    const generation = connection.generate({ prompt, maxNewTokens, temperature, signal })
    for await (const piece of generation) terminal.out(piece.text)
    terminal.out('\n')
    return await generation.result
  } finally {
    await connection.close()
  }
}

function summary(result: GenerationResult, servers: readonly ServerProcess[]): string {
  const { tokenIds, route, tokensPerSecond, timeToFirstTokenMs, pushes } = result
  const parts = [
    `${counted(tokenIds.length, 'token')} through ${servers.length} servers, route ${route}`,
    ...(tokensPerSecond === null ? [] : [`${tokensPerSecond.toFixed(1)} tokens/s`]),
    ...(timeToFirstTokenMs === null ? [] : [`first after ${timeToFirstTokenMs.toFixed(0)} ms`]),
    `${pushes.used} ${pushes.used === 1 ? 'push' : 'pushes'} used`
  ]
  return parts.join(', ')
}

async function staysUp(servers: readonly ServerProcess[], { terminal, signal }: Context): Promise<void> {
  const addresses = servers.map(server => server.ready.addresses[0]).join(',')
  terminal.err(`\nThe servers stay up. In another terminal:\n`)
  terminal.err(`  ${invocationOf('generate')} --peers ${addresses} --prompt 'JULIET:'\nCtrl-C ends them.\n`)
  if (!signal.aborted) await new Promise(resolve => signal.addEventListener('abort', resolve, { once: true }))
}
