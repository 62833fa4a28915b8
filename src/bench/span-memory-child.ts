// What this process needs is loaded only after its first look at its own memory.
import type { SpanGraph } from '../model/index.ts'

export interface MemoryJob {
  readonly graph: Omit<SpanGraph, 'bytes'>
  /** Holds the graph's bytes. */
  readonly bytesFile: string
  readonly past: number
  readonly steps: number
  readonly threads: number
}

/** Resident bytes. */
export interface MemoryFigures {
  readonly start: number
  readonly loaded: number
  readonly afterSteps: number
}

const start = process.memoryUsage.rss()

async function measure({ graph, bytesFile, past, steps, threads }: MemoryJob): Promise<MemoryFigures> {
  const { readFile } = await import('node:fs/promises')
  const { silentLogger } = await import('../base/index.ts')
  const { loadSpan } = await import('../runtime/index.ts')
  const bytes = await readFile(bytesFile)
  const maxLength = past + steps
  const init = { slots: 1, maxLength, threads, logger: silentLogger }
  const runner = await loadSpan({ ...graph, bytes }, init)
  const loaded = process.memoryUsage.rss()
  const run = (position: number, tokens: number) => {
    const values = tokens * graph.hiddenSize
    return { slot: 0, position, input: new Float32Array(values).fill(0.5), output: new Float32Array(values) }
  }
  for (let at = 0; at < past; at += runner.chunkTokens) {
    await runner.prefill(run(at, Math.min(runner.chunkTokens, past - at)))
  }
  for (let at = past; at < maxLength; at++) await runner.decode([run(at, 1)])
  const afterSteps = process.memoryUsage.rss()
  await runner.close()
  return { start, loaded, afterSteps }
}

// The process that asked has ended, interrupted: nobody is left to be told.
process.on('disconnect', () => process.exit())

process.once('message', (job: MemoryJob) => {
  void measure(job).then(figures => process.send?.(figures, () => process.disconnect()))
})
