import type { Binding } from '../binding.ts'
import { type Device, hostDevice } from './device.ts'
import { openEnvironment } from './environment.ts'
import type { Pointer } from './functions.ts'
import { CApiGraph } from './graph.ts'
import { createSession } from './session.ts'

export { type BareDecode, loadBareDecode } from './bare.ts'
export { type Device, hostAsDevice, hostDevice } from './device.ts'
export { timeCopies } from './copier.ts'

/**
 * ONNX Runtime's C API called through an FFI: runs are asynchronous, can be terminated, and work in place.
 *
 * @throws RuntimeLoadError when the library or the FFI does not load
 */
export async function openCApi(libraryFolder?: string, device: Device = hostDevice): Promise<Binding> {
  const environment = await openEnvironment(libraryFolder)
  const { api } = environment
  return {
    name: 'c-api',
    device: device.name,
    version: api.version,
    library: api.library,
    load: async (plan, signal) => {
      const create = (): Promise<Pointer> => createSession(environment, plan, device, signal)
      const session = await (device.replays ? environment.turns.take(create) : create())
      return CApiGraph.over(session, environment, plan, device)
    }
  }
}
