import type { Binding } from '../binding.ts'
import { CApiGraph } from './graph.ts'
import { loadLibrary } from './library.ts'
import { DeviceMemory } from './memory.ts'
import { createSession } from './session.ts'

/** OrtLoggingLevel ORT_LOGGING_LEVEL_FATAL: whatever goes wrong comes back as a status, and stderr is not ours. */
const logFatal = 4

/**
 * ONNX Runtime's C API called through an FFI: runs are asynchronous, can be terminated, and work in place.
 *
 * The environment lives as long as the process, as ONNX Runtime means it to.
 *
 * @throws RuntimeLoadError when the library or the FFI does not load
 */
export async function openCApi(libraryFolder?: string): Promise<Binding> {
  const api = await loadLibrary(libraryFolder)
  const environment = api.create('CreateEnv', logFatal, 'andthen')
  const memory = DeviceMemory.host(api)
  return {
    name: 'c-api',
    device: 'cpu',
    version: api.version,
    library: api.library,
    hostMemory: bytes => new ArrayBuffer(bytes),
    load: async (plan, signal) => {
      const session = await createSession(api, environment, plan.graph, plan.threads, signal)
      return new CApiGraph(api, session, memory, plan)
    }
  }
}
