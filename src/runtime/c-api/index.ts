import type { Binding } from '../binding.ts'
import { openEnvironment } from './environment.ts'
import { CApiGraph } from './graph.ts'
import { createSession } from './session.ts'

export { loadBareDecode } from './bare.ts'

/**
 * ONNX Runtime's C API called through an FFI: runs are asynchronous, can be terminated, and work in place.
 *
 * @throws RuntimeLoadError when the library or the FFI does not load
 */
export async function openCApi(libraryFolder?: string): Promise<Binding> {
  const environment = await openEnvironment(libraryFolder)
  const { api } = environment
  return {
    name: 'c-api',
    device: 'cpu',
    version: api.version,
    library: api.library,
    hostMemory: bytes => new ArrayBuffer(bytes),
    load: async (plan, signal) => {
      const session = await createSession(environment, plan.graph, plan.threads, signal)
      return CApiGraph.over(session, environment, plan)
    }
  }
}
