import { availableParallelism, cpus, totalmem } from 'node:os'
import { counted, type Logger } from '../base/index.ts'
import { buildSpanGraph, openModel } from '../model/index.ts'
import type { ServeOptions } from '../node/index.ts'
import { loadSpan } from '../runtime/index.ts'
import type { Blame } from './blame.ts'
import { bytes } from './serve-ready.ts'

/** One thing that this machine has, or lacks. */
export interface Finding {
  readonly about: string
  /** `note`: more would be possible; `missing`: serving is not. */
  readonly state: 'ok' | 'note' | 'missing'
  readonly says: string
}

const oldestNode = [20, 19] as const

export function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number)
  const recent = major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])
  if (recent) return { about: 'Node.js', state: 'ok', says: version }
  return { about: 'Node.js', state: 'missing', says: `${version} is too old: install ${oldestNode.join('.')} or later` }
}

export function checkProcessor(): Finding {
  const says = `${counted(availableParallelism(), 'thread')}, ${cpus()[0]?.model ?? 'unknown model'}`
  return { about: 'processor', state: 'ok', says }
}

export function checkMemory(): Finding {
  return { about: 'memory', state: 'ok', says: `${bytes(process.availableMemory())} available of ${bytes(totalmem())}` }
}

/** Loads the model's first block, the surest sign that ONNX Runtime works here. */
export async function checkRuntime(
  { model: folder, onnxruntime }: ModelLoad,
  logger: Logger,
  blame: Blame
): Promise<Finding> {
  const about = 'ONNX Runtime'
  try {
    const model = await openModel(folder)
    const graph = buildSpanGraph(model, { from: 0, to: 1 }, { maxLength: 16 })
    const named = onnxruntime === undefined ? {} : { libraryFolder: onnxruntime, binding: 'c-api' as const }
    const runner = await loadSpan(graph, { slots: 1, maxLength: 16, threads: 1, logger, ...named })
    const { version, binding, library, reason } = runner.runtime
    await runner.close()
    const state = binding === 'c-api' ? 'ok' : 'note'
    return { about, state, says: `${version} by its ${binding} binding (${reason}), ${library}` }
  } catch (error) {
    return { about, state: 'missing', says: blame(error).message }
  }
}

/** What is to be served, and with which library. */
export type ModelLoad = Pick<ServeOptions, 'model' | 'maxLength' | 'maxSessions' | 'onnxruntime'>

/** How many of the model's blocks the free memory of a device holds. */
export async function checkModel(
  options: ModelLoad & Pick<ServeOptions, 'memory'> & Required<Pick<ServeOptions, 'device'>>,
  blame: Blame
): Promise<Finding> {
  const about = 'model'
  try {
    const { planServe } = await import('../node/index.ts')
    const plan = await planServe(options)
    const blocks = plan.largestFit === null ? 0 : plan.largestFit[1] - plan.largestFit[0]
    const load = `${counted(plan.maxSessions, 'session')} of ${counted(plan.maxLength, 'token')}`
    const says = `${blocks} of ${counted(plan.modelBlocks, 'block')} of ${plan.model} fit on ${plan.device} in ${plan.weights}, with ${load}`
    return { about, state: blocks === 0 ? 'missing' : 'ok', says }
  } catch (error) {
    return { about, state: 'missing', says: blame(error).message }
  }
}
