import type { OnnxGraph } from '../../model/index.ts'
import { throwIfCancelled } from '../cancelled.ts'
import { RuntimeLoadError } from '../errors.ts'
import { sessionConfig } from '../session-config.ts'
import type { Api } from './api.ts'
import type { Device } from './device.ts'
import type { Environment } from './environment.ts'
import type { Pointer } from './functions.ts'

/** GraphOptimizationLevel ORT_ENABLE_ALL */
const allOptimizations = 99

export interface SessionInit {
  readonly graph: OnnxGraph
  readonly threads: number
}

function createOptions(api: Api, { graph, threads }: SessionInit, device: Device): Pointer {
  const options = api.create('CreateSessionOptions')
  try {
    api.call('SetIntraOpNumThreads', options, threads)
    api.call('SetSessionGraphOptimizationLevel', options, allOptimizations)
    for (const [key, value] of Object.entries({ ...sessionConfig(graph.folder), ...device.config })) {
      api.call('AddSessionConfigEntry', options, key, value)
    }
    device.configure(api, options, device.replays)
    return options
  } catch (error) {
    api.release('ReleaseSessionOptions', options)
    throw error
  }
}

/**
 * Compiles a graph for a device and brings its weights there, on a thread of libuv's pool.
 *
 * @throws RuntimeLoadError when ONNX Runtime refuses the graph or the device, CancelledError when `signal` aborts
 */
export async function createSession(
  { api, pointer }: Environment,
  init: SessionInit,
  device: Device,
  signal?: AbortSignal
): Promise<Pointer> {
  throwIfCancelled(signal, 'loading the graph')
  const { bytes } = init.graph
  const options = createOptions(api, init, device)
  const cancel = (): void => api.call('SessionOptionsSetLoadCancellationFlag', options, 1)
  signal?.addEventListener('abort', cancel)
  try {
    return await api.createAsync('CreateSessionFromArray', pointer, bytes, bytes.byteLength, options)
  } catch (cause) {
    throwIfCancelled(signal, 'loading the graph')
    throw new RuntimeLoadError(`the graph does not load: ${(cause as Error).message}`, { cause })
  } finally {
    signal?.removeEventListener('abort', cancel)
    api.release('ReleaseSessionOptions', options)
  }
}
