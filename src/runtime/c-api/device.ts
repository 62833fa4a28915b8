import type { Api } from './api.ts'
import type { Pointer } from './functions.ts'
import type { MemoryName } from './memory.ts'

/** Where a session computes. What devices differ in is in here: the rest of the C API's code knows none by name. */
export interface Device {
  /** As nodes tell it: `cpu`, `cuda:0`. */
  readonly name: string
  /**
   * Memory of its own: `resident` for what stays for the session's life, `crossing` for what the host writes and reads.
   * Null where the host's memory is the device's, and everything is bound in place.
   */
  readonly memory: { readonly resident: MemoryName; readonly crossing: MemoryName } | null
  /**
   * Runs of one token are captured for each window of rows and replayed from then on (`gpu_graph_id` in
   * onnxruntime_run_options_config_keys.h; in 1.30 by each thread that starts runs, for itself): inputs and outputs keep
   * their addresses on the device for that.
   */
  readonly replays: boolean
  /** Of the session, beside those that all sessions have. */
  readonly config: Readonly<Record<string, string>>
  /**
   * Appends its execution provider to a session's options, before the CPU's.
   *
   * @param replays whether runs of the session are to be captured
   * @throws RuntimeRunError
   */
  configure(api: Api, sessionOptions: Pointer, replays: boolean): void
  /**
   * Makes it the device that the calling thread waits for: ONNX Runtime sets that as a run begins, and not as inputs are
   * bound, whose copies `SynchronizeBoundInputs` waits for on whichever device the thread used last. Absent where there is
   * nothing to choose.
   */
  enter?(): void
}

export const hostDevice: Device = { name: 'cpu', memory: null, replays: false, config: {}, configure: () => undefined }

const sessionMemory: MemoryName = { name: 'Cpu', id: 0 }

/**
 * The processor's memory used as if it were a device's: allocated by the session, reached by copies only. It takes the
 * same way through the code as a GPU, on a machine without one.
 *
 * @param replays whether the ports have addresses of their own on the device, as captured graphs need
 */
export function hostAsDevice(replays = false): Device {
  return { ...hostDevice, memory: { resident: sessionMemory, crossing: sessionMemory }, replays }
}
