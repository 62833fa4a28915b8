import type { Api } from './api.ts'
import type { Pointer } from './functions.ts'
import { loadLibrary } from './library.ts'
import { DeviceMemory } from './memory.ts'

/** OrtLoggingLevel ORT_LOGGING_LEVEL_FATAL: whatever goes wrong comes back as a status, and stderr is not ours. */
const logFatal = 4

/** What every session needs. It lives as long as the process, as ONNX Runtime means its environment to. */
export interface Environment {
  readonly api: Api
  readonly pointer: Pointer
  readonly memory: DeviceMemory
}

/** @throws RuntimeLoadError when the library or the FFI does not load */
export async function openEnvironment(libraryFolder?: string): Promise<Environment> {
  const api = await loadLibrary(libraryFolder)
  return { api, pointer: api.create('CreateEnv', logFatal, 'andthen'), memory: DeviceMemory.host(api) }
}
