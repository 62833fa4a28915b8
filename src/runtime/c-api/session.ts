import type { OnnxGraph } from '../../model/index.ts'
import { throwIfCancelled } from '../cancelled.ts'
import { RuntimeLoadError } from '../errors.ts'
import { sessionConfig } from '../session-config.ts'
import type { Api } from './api.ts'
import type { Environment } from './environment.ts'
import type { Pointer } from './functions.ts'

/** GraphOptimizationLevel ORT_ENABLE_ALL */
const allOptimizations = 99

function createOptions(api: Api, folder: string, threads: number): Pointer {
  const options = api.create('CreateSessionOptions')
  try {
    api.call('SetIntraOpNumThreads', options, threads)
    api.call('SetSessionGraphOptimizationLevel', options, allOptimizations)
    for (const [key, value] of Object.entries(sessionConfig(folder))) {
      api.call('AddSessionConfigEntry', options, key, value)
    }
    return options
  } catch (error) {
    api.release('ReleaseSessionOptions', options)
    throw error
  }
}

/**
 * Compiles a graph and maps its weights, on a thread of libuv's pool.
 *
 * @throws RuntimeLoadError when ONNX Runtime refuses the graph, CancelledError when `signal` aborts
 */
export async function createSession(
  { api, pointer }: Environment,
  graph: OnnxGraph,
  threads: number,
  signal?: AbortSignal
): Promise<Pointer> {
  throwIfCancelled(signal, 'loading the graph')
  const options = createOptions(api, graph.folder, threads)
  const cancel = (): void => api.call('SessionOptionsSetLoadCancellationFlag', options, 1)
  signal?.addEventListener('abort', cancel)
  try {
    return await api.createAsync('CreateSessionFromArray', pointer, graph.bytes, graph.bytes.byteLength, options)
  } catch (cause) {
    throwIfCancelled(signal, 'loading the graph')
    throw new RuntimeLoadError(`the graph does not load: ${(cause as Error).message}`, { cause })
  } finally {
    signal?.removeEventListener('abort', cancel)
    api.release('ReleaseSessionOptions', options)
  }
}
