import { toAndthenError } from '../base/index.ts'
import type { ServePlan, ServerNode } from '../node/index.ts'
import { rangeWarning } from './block-range.ts'
import { type Context, defineCommand, type LogSettings } from './command.ts'
import { invocationOf } from './invocation.ts'
import { defaultModel } from './model-folder.ts'
import { exitStatus } from './report.ts'
import { serveFlags, serveOptions } from './serve-flags.ts'
import { bytes, readyForPeople } from './serve-ready.ts'

export const serveCommand = defineCommand({
  name: 'serve',
  summary: "serve a span of a model's blocks",
  flags: serveFlags,
  logLevel: 'info',
  options: serveOptions,
  async run({ dryRun, ...options }, context, log) {
    // Loaded here, so that a slip on the command line is told at once.
    const { planServe, serve } = await import('../node/index.ts')
    const { logger, signal, terminal } = context
    const warn = ({ blocks, modelBlocks }: ServePlan): void => {
      const warning = rangeWarning(blocks, modelBlocks)
      if (warning !== undefined) logger.warn({ blocks }, warning)
    }
    if (dryRun) {
      const plan = await planServe(options)
      warn(plan)
      terminal.out(`${JSON.stringify(plan)}\n`)
      return exitStatus.done
    }
    try {
      const node = await serve({ ...options, logger, signal }, plan => {
        warn(plan)
        // ONNX Runtime loads them in one call, which does not say how far it is.
        terminal.status(`loading ${bytes(plan.memoryBytes.weights)} of weights`)
      })
      announceReady(node, options.model, context, log)
      return await drainedAtEnd(node, context)
    } catch (error) {
      // Asked to end while it was still loading, it has nothing to drain.
      if (signal.aborted && toAndthenError(error).code === 'CANCELLED') return exitStatus.done
      throw error
    }
  }
})

function announceReady({ info }: ServerNode, model: string, { terminal }: Context, log: LogSettings): void {
  terminal.status('')
  if (log.logFormat === 'json') {
    terminal.out(`${JSON.stringify(info)}\n`)
    return
  }
  const generate = invocationOf('generate') + (model === defaultModel ? '' : ` --model ${model}`)
  terminal.out(readyForPeople(info, generate, text => terminal.paint('out', 'bold', text)))
}

/** Serves until the first signal, then lets sessions end. @throws AndthenError that the node failed with meanwhile */
async function drainedAtEnd(node: ServerNode, { logger, signal }: Context): Promise<number> {
  const asked = new Promise<void>(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
  const failure = await Promise.race([asked, node.failed])
  if (failure !== undefined) {
    await node.close()
    throw failure
  }
  logger.info({}, 'draining: sessions go on, new ones are refused; interrupt again to exit at once')
  await node.drain()
  await node.close()
  return exitStatus.done
}
