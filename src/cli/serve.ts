import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { toAndthenError, UsageError } from '../base/index.ts'
import type { ServeOptions, ServerNode } from '../node/index.ts'
import { parseBlocks, rangeWarning } from './block-range.ts'
import { parseDevice, parseWeights } from './choices.ts'
import { type Context, defineCommand, type LogSettings } from './command.ts'
import { invocationOf } from './invocation.ts'
import { list, present, toggle, value } from './flags.ts'
import { parseAdmin } from './host-port.ts'
import { defaultModel, parseModel } from './model-folder.ts'
import { parseMultiaddr } from './multiaddr.ts'
import { parseCount, parseDuration, parseSize } from './quantities.ts'
import { exitStatus } from './report.ts'
import { readyForPeople } from './serve-ready.ts'

const defaultListen = ['/ip4/0.0.0.0/tcp/31226', '/ip6/::/tcp/31226']
const defaultDrainMs = 30_000

const flags = {
  blocks: value('A-B', 'blocks to serve, half open: 0-4 is blocks 0 to 3; or all', parseBlocks),
  model: value('DIR|HUB_ID', 'the model', parseModel, 'the shipped tiny-shakespeare'),
  listen: list('MULTIADDR', 'where to listen', parseMultiaddr, defaultListen.join(', ')),
  announce: list('MULTIADDR', 'what others are told to dial', parseMultiaddr, 'where it listens'),
  dataDir: value('DIR', 'where the identity and caches are kept', resolvePath, '~/.andthen'),
  identity: value('FILE', 'private key of this node', resolvePath, '<data-dir>/identity-PORT.key'),
  device: value('DEVICE', 'auto, cpu, cuda[:N] or webgpu', parseDevice, 'auto'),
  weights: value('TYPE', 'auto, f32, bf16, f16, int8 or int4', parseWeights, 'auto, which never quantizes'),
  threads: value('N', 'threads that compute', parseCount(1), 'one a core'),
  maxLength: value('TOKENS', 'longest session', parseCount(1), "the model's, at most 4096"),
  maxSessions: value('N', 'sessions at a time', parseCount(1), '8'),
  memory: value('SIZE', 'memory to use at most, such as 4GiB', parseSize, 'what is free'),
  admin: value('HOST:PORT|off', 'where metrics, health and sessions are shown', parseAdmin, '127.0.0.1:0'),
  adminTokenFile: value('FILE', 'token wanted from those who ask there', resolvePath),
  drainTimeout: value('DURATION', 'how long sessions may go on after the first SIGTERM', parseDuration, '30s'),
  dryRun: toggle('tell as JSON what memory this needs and whether it fits, and serve nothing')
}

export const serveCommand = defineCommand({
  name: 'serve',
  summary: 'serve a span of a model’s blocks',
  flags,
  logLevel: 'info',
  options(given): ServeOptions & { readonly dryRun: boolean } {
    if (given.blocks === undefined) throw new UsageError('--blocks is missing: give a range such as 0-4, or all')
    const { identity, threads, maxLength, memory, adminTokenFile } = given
    return {
      model: given.model ?? defaultModel,
      blocks: given.blocks,
      listen: given.listen ?? defaultListen,
      announce: given.announce ?? [],
      dataDir: given.dataDir ?? join(homedir(), '.andthen'),
      device: given.device ?? 'auto',
      weights: given.weights ?? 'auto',
      maxSessions: given.maxSessions ?? 8,
      admin: given.admin ?? { host: '127.0.0.1', port: 0 },
      drainTimeoutMs: given.drainTimeout ?? defaultDrainMs,
      dryRun: given.dryRun ?? false,
      ...present({ identity, threads, maxLength, memory, adminTokenFile })
    }
  },
  async run({ dryRun, ...options }, context, log) {
    // Loaded here, so that a slip on the command line is told at once.
    const { planServe, serve } = await import('../node/index.ts')
    const plan = await planServe(options)
    const warning = rangeWarning(plan.blocks, plan.modelBlocks)
    if (warning !== undefined) context.logger.warn({ blocks: plan.blocks }, warning)
    if (dryRun) {
      context.terminal.out(`${JSON.stringify(plan)}\n`)
      return exitStatus.done
    }
    const { logger, signal } = context
    try {
      const node = await serve({ ...options, logger, signal, onProgress: showLoading(context) })
      announceReady(node, options.model, context, log)
      return await drainedAtEnd(node, context)
    } catch (error) {
      // Asked to end while it was still loading, it has nothing to drain.
      if (signal.aborted && toAndthenError(error).code === 'CANCELLED') return exitStatus.done
      throw error
    }
  }
})

function resolvePath(text: string): string {
  return resolve(text)
}

function showLoading({ terminal }: Context) {
  return ({ loadedBytes, totalBytes }: { loadedBytes: number; totalBytes: number }) => {
    const percent = Math.floor((100 * loadedBytes) / Math.max(1, totalBytes))
    terminal.status(loadedBytes < totalBytes ? `loading weights ${percent}%` : '')
  }
}

function announceReady({ info }: ServerNode, model: string, { terminal }: Context, log: LogSettings): void {
  terminal.status('')
  if (log.logFormat === 'json') {
    terminal.out(`${JSON.stringify(info)}\n`)
    return
  }
  const generate = invocationOf('generate') + (model === defaultModel ? '' : ` --model ${model}`)
  terminal.out(readyForPeople(info, generate, text => terminal.paint('out', 'bold', text)))
}

/** Serves until the first signal, then lets sessions end. */
async function drainedAtEnd(node: ServerNode, { logger, signal }: Context): Promise<number> {
  if (!signal.aborted) await new Promise(resolve => signal.addEventListener('abort', resolve, { once: true }))
  logger.info({}, 'draining: sessions go on, new ones are refused; interrupt again to exit at once')
  await node.drain()
  await node.close()
  return exitStatus.done
}
