import { Turns } from '../turns.ts'
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
  /**
   * For what devices with replayed runs do, whichever session's: while a thread records one, CUDA refuses to allocate, to copy
   * and to wait from any other of the process, and drops the recording (cudaStreamCaptureModeGlobal).
   */
  readonly turns: Turns
}

const environments = new Map<string, Promise<Environment>>()

/** @throws RuntimeLoadError when the library or the FFI does not load */
export function openEnvironment(libraryFolder = ''): Promise<Environment> {
  const known = environments.get(libraryFolder)
  if (known !== undefined) return known
  const opening = createEnvironment(libraryFolder === '' ? undefined : libraryFolder)
  environments.set(libraryFolder, opening)
  opening.catch(() => environments.delete(libraryFolder))
  return opening
}

async function createEnvironment(libraryFolder: string | undefined): Promise<Environment> {
  const api = await loadLibrary(libraryFolder)
  return {
    api,
    pointer: api.create('CreateEnv', logFatal, 'andthen'),
    memory: DeviceMemory.host(api),
    turns: new Turns()
  }
}
