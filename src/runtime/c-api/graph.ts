import { type GraphCall, type GraphPlan, type LoadedGraph, rowElements } from '../binding.ts'
import type { Api } from './api.ts'
import type { Pointer } from './functions.ts'
import type { DeviceMemory } from './memory.ts'
import { type LayerCache, PreparedWindow } from './prepared.ts'

/** Windows kept bound. Single rows are what most runs are; wider windows come and go with the sessions. */
const leastWindows = 64

/** A session with its slab and the windows of it that are bound. */
export class CApiGraph implements LoadedGraph {
  readonly #api: Api
  readonly #session: Pointer
  readonly #memory: DeviceMemory
  readonly #plan: GraphPlan
  readonly #runOptions: Pointer
  readonly #caches: LayerCache[]
  readonly #windows = new Map<number, PreparedWindow>()
  readonly #mostWindows: number
  #inFlight: Promise<void> = Promise.resolve()
  #closed = false

  constructor(api: Api, session: Pointer, memory: DeviceMemory, plan: GraphPlan) {
    this.#api = api
    this.#session = session
    this.#memory = memory
    this.#plan = plan
    this.#runOptions = api.create('CreateRunOptions')
    this.#mostWindows = Math.max(leastWindows, 2 * (plan.slab?.rows ?? 0))
    const { slab } = plan
    this.#caches = (slab?.layers ?? []).map(layer => {
      const bytes = (slab?.rows ?? 0) * (slab === undefined ? 0 : rowElements(slab, layer)) * 4
      return { key: memory.allocate(bytes), value: memory.allocate(bytes) }
    })
  }

  run(call: GraphCall): Promise<void> {
    const window = this.#window(call)
    window.bindPorts(call)
    this.#api.call('RunOptionsUnsetTerminate', this.#runOptions)
    const run = this.#api.callAsync('RunWithBinding', this.#session, this.#runOptions, window.binding)
    this.#inFlight = run.catch(() => undefined)
    return run
  }

  terminate(): void {
    this.#api.call('RunOptionsSetTerminate', this.#runOptions)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#inFlight
    for (const window of this.#windows.values()) window.close()
    this.#api.release('ReleaseRunOptions', this.#runOptions)
    this.#api.release('ReleaseSession', this.#session)
    for (const { key, value } of this.#caches) {
      this.#memory.free(key)
      this.#memory.free(value)
    }
  }

  #window(call: GraphCall): PreparedWindow {
    const id = call.first * ((this.#plan.slab?.rows ?? 0) + 1) + call.rows
    const known = this.#windows.get(id)
    if (known !== undefined) {
      this.#windows.delete(id)
      this.#windows.set(id, known)
      return known
    }
    const window = new PreparedWindow(this.#api, this.#session, this.#memory, this.#plan)
    window.bindCache(this.#caches, call)
    this.#windows.set(id, window)
    this.#evict()
    return window
  }

  #evict(): void {
    if (this.#windows.size <= this.#mostWindows) return
    const [oldest] = this.#windows
    if (oldest === undefined) return
    oldest[1].close()
    this.#windows.delete(oldest[0])
  }
}
