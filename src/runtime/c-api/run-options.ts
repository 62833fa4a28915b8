import type { Api } from './api.ts'
import type { Pointer } from './functions.ts'

/** onnxruntime_run_options_config_keys.h: runs of one id are captured once and replayed; those of -1 never. */
const replayKey = 'gpu_graph_id'
const never = -1

/** The OrtRunOptions of a session: one for all its runs, or one for each graph that is replayed. */
export class RunOptionsSet {
  readonly #api: Api
  readonly #replays: boolean
  readonly #options = new Map<number, Pointer>()
  #current: Pointer
  #replayed = false

  constructor(api: Api, replays: boolean) {
    this.#api = api
    this.#replays = replays
    this.#current = this.#optionsOf(never)
  }

  /** Options of the next run. `id`: of what is bound, which has the same addresses each time; absent: not replayed. */
  begin(id: number | undefined): Pointer {
    const graph = this.#replays && id !== undefined ? id : never
    this.#replayed = graph !== never
    this.#current = this.#optionsOf(graph)
    this.#api.call('RunOptionsUnsetTerminate', this.#current)
    return this.#current
  }

  /**
   * Asks the run that was last begun to end, where that is safe: one that ended while it was recorded would leave half a
   * graph, which ONNX Runtime takes for a whole one and replays (CUDAExecutionProvider::OnRunEnd). It ends in its own time.
   */
  terminate(): void {
    if (!this.#replayed) this.#api.call('RunOptionsSetTerminate', this.#current)
  }

  close(): void {
    for (const options of this.#options.values()) this.#api.release('ReleaseRunOptions', options)
  }

  #optionsOf(id: number): Pointer {
    const known = this.#options.get(id)
    if (known !== undefined) return known
    const options = this.#api.create('CreateRunOptions')
    this.#options.set(id, options)
    if (this.#replays) this.#api.call('AddRunConfigEntry', options, replayKey, String(id))
    return options
  }
}
