import { fork } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SpanGraph } from '../model/index.ts'
import { MeasurementError } from './errors.ts'
import type { MemoryFigures, MemoryJob } from './span-memory-child.ts'

const childProgram = new URL(`./span-memory-child${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)

/**
 * Resident memory of a process that does nothing but run the span: at its start, with the span loaded, and after
 * `steps` decode steps.
 */
export async function measureMemory(
  graph: SpanGraph,
  init: Omit<MemoryJob, 'graph' | 'bytesFile'>
): Promise<MemoryFigures> {
  const folder = await mkdtemp(join(tmpdir(), 'andthen-memory-'))
  try {
    const bytesFile = join(folder, 'span.onnx')
    await writeFile(bytesFile, graph.bytes)
    const { bytes: _, ...rest } = graph
    return await ask({ ...init, graph: rest, bytesFile })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function ask(job: MemoryJob): Promise<MemoryFigures> {
  const child = fork(childProgram, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  return new Promise((resolve, reject) => {
    child.once('message', (figures: MemoryFigures) => resolve(figures))
    child.once('error', reject)
    child.once('exit', code => reject(new MeasurementError(`the process that measures memory ended with ${code}`)))
    child.send(job)
  })
}
