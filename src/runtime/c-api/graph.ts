import type { GraphCall, GraphPlan, LoadedGraph, Slab } from '../binding.ts'
import type { Environment } from './environment.ts'
import type { Pointer } from './functions.ts'
import { PreparedWindow } from './prepared.ts'
import { loadRow, type RowPlace, saveRow } from './row-state.ts'
import { SlabMemory } from './slab.ts'

/** Windows kept bound. Single rows are what most runs are; wider windows come and go with the sessions. */
const leastWindows = 64

const noSlab: Slab = { layers: [], rows: 0, capacity: 0 }

/** A session with its slab and the windows of it that are bound. */
export class CApiGraph implements LoadedGraph {
  readonly #environment: Environment
  readonly #session: Pointer
  readonly #plan: GraphPlan
  readonly #slab: SlabMemory
  readonly #runOptions: Pointer
  readonly #windows = new Map<number, PreparedWindow>()
  readonly #mostWindows: number
  #inFlight: Promise<void> = Promise.resolve()
  #closed: Promise<void> | undefined

  private constructor(session: Pointer, environment: Environment, plan: GraphPlan, slab: SlabMemory) {
    this.#environment = environment
    this.#session = session
    this.#plan = plan
    this.#slab = slab
    this.#runOptions = environment.api.create('CreateRunOptions')
    this.#mostWindows = Math.max(leastWindows, 2 * (plan.slab?.rows ?? 0))
  }

  /** Takes over the session, also when this throws. */
  static over(session: Pointer, environment: Environment, plan: GraphPlan): CApiGraph {
    try {
      return new CApiGraph(session, environment, plan, new SlabMemory(environment.memory, plan.slab))
    } catch (error) {
      environment.api.release('ReleaseSession', session)
      throw error
    }
  }

  run(call: GraphCall): Promise<void> {
    const { api } = this.#environment
    const window = this.#window(call)
    window.bindPorts(call)
    api.call('RunOptionsUnsetTerminate', this.#runOptions)
    const run = api.callAsync('RunWithBinding', this.#session, this.#runOptions, window.binding)
    this.#inFlight = run.catch(() => undefined)
    return run
  }

  terminate(): void {
    if (this.#closed === undefined) this.#environment.api.call('RunOptionsSetTerminate', this.#runOptions)
  }

  save(row: number, tokens: number): Promise<Uint8Array> {
    return saveRow(this.#place(row, tokens))
  }

  load(row: number, tokens: number, state: Uint8Array): Promise<void> {
    return loadRow(this.#place(row, tokens), state)
  }

  close(): Promise<void> {
    this.#closed ??= this.#inFlight.then(() => {
      for (const window of this.#windows.values()) window.close()
      this.#environment.api.release('ReleaseRunOptions', this.#runOptions)
      this.#environment.api.release('ReleaseSession', this.#session)
      this.#slab.close()
    })
    return this.#closed
  }

  #place(row: number, tokens: number): RowPlace {
    return { slab: this.#plan.slab ?? noSlab, caches: this.#slab.caches, row, tokens }
  }

  #window(call: GraphCall): PreparedWindow {
    const id = call.first * ((this.#plan.slab?.rows ?? 0) + 1) + call.rows
    const known = this.#windows.get(id)
    if (known !== undefined) return known
    this.#makeRoom()
    const { api, memory } = this.#environment
    const window = new PreparedWindow(api, this.#session, memory, this.#plan)
    try {
      window.bindCache(this.#slab.layers, call)
    } catch (error) {
      window.close()
      throw error
    }
    this.#windows.set(id, window)
    return window
  }

  #makeRoom(): void {
    if (this.#windows.size < this.#mostWindows) return
    for (const [id, window] of this.#windows) {
      window.close()
      this.#windows.delete(id)
      return
    }
  }
}
