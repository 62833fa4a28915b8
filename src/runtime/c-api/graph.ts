import { type GraphCall, type GraphPlan, type LoadedGraph, type Slab, slabBytes } from '../binding.ts'
import { DeviceLostError, RuntimeLoadError, RuntimeRunError } from '../errors.ts'
import type { Device } from './device.ts'
import type { Environment } from './environment.ts'
import type { Pointer } from './functions.ts'
import { type Placement, placeTensors } from './placement.ts'
import { PreparedWindow } from './prepared.ts'
import { RunOptionsSet } from './run-options.ts'

/** Windows kept bound. Single rows are what most runs are; wider windows come and go with the sessions. */
const leastWindows = 64

const noSlab: Slab = { layers: [], rows: 0, capacity: 0, type: 'f32' }

/** A session with its slab and the windows of it that are bound. */
export class CApiGraph implements LoadedGraph {
  readonly replays: boolean
  readonly #environment: Environment
  readonly #session: Pointer
  readonly #plan: GraphPlan
  readonly #placement: Placement
  readonly #runOptions: RunOptionsSet
  readonly #windows = new Map<number, PreparedWindow>()
  readonly #mostWindows: number
  readonly #device: Device
  #lost: DeviceLostError | undefined
  #terminated = false
  #inFlight: Promise<void> = Promise.resolve()
  #closed: Promise<void> | undefined

  private constructor(session: Pointer, environment: Environment, plan: GraphPlan, on: Device, placement: Placement) {
    this.replays = on.replays
    this.#device = on
    this.#environment = environment
    this.#session = session
    this.#plan = plan
    this.#placement = placement
    this.#runOptions = new RunOptionsSet(environment.api, on.replays)
    this.#mostWindows = Math.max(leastWindows, 2 * (plan.slab?.rows ?? 0))
  }

  /** Takes over the session, also when this throws. @throws RuntimeLoadError, such as where there is no room for the slab */
  static async over(session: Pointer, environment: Environment, plan: GraphPlan, device: Device): Promise<CApiGraph> {
    try {
      const placement = await placeTensors(environment, session, plan, device)
      return new CApiGraph(session, environment, plan, device, placement)
    } catch (cause) {
      environment.api.release('ReleaseSession', session)
      if (cause instanceof RuntimeLoadError) throw cause
      const { message } = cause as Error
      const bytes = plan.slab === undefined ? 0 : slabBytes(plan.slab)
      throw new RuntimeLoadError(
        `no room on ${device.name} for ${bytes} bytes of KV cache: ${message}; fewer slots or shorter ones take less`,
        { cause }
      )
    }
  }

  memoryOf(port: string): ArrayBufferLike {
    return this.#placement.ports.memoryOf(port)
  }

  run(call: GraphCall): Promise<void> {
    this.#terminated = false
    const run = this.#begin(call).catch((error: unknown) => this.#fail(error))
    this.#inFlight = run.catch(() => undefined)
    return run
  }

  terminate(): void {
    if (this.#closed !== undefined) return
    this.#terminated = true
    this.#runOptions.terminate()
  }

  save(row: number, tokens: number): Promise<Uint8Array> {
    return this.#placement.rows.save({ slab: this.#plan.slab ?? noSlab, row, tokens })
  }

  load(row: number, tokens: number, state: Uint8Array): Promise<void> {
    return this.#placement.rows.load({ slab: this.#plan.slab ?? noSlab, row, tokens }, state)
  }

  close(): Promise<void> {
    this.#closed ??= this.#inFlight.then(async () => {
      // What a lost device held is gone with it; giving it back would end the process (~CudaGraphSet throws).
      if (this.#lost !== undefined) return
      for (const window of this.#windows.values()) window.close()
      this.#runOptions.close()
      const { alone } = this.#placement
      await this.#placement.close()
      const release = (): void => this.#environment.api.release('ReleaseSession', this.#session)
      await (alone === undefined ? release() : alone(release))
    })
    return this.#closed
  }

  async #begin(call: GraphCall): Promise<void> {
    if (this.#lost !== undefined) throw this.#lost
    const window = this.#window(call)
    this.#device.enter?.()
    window.bindPorts(call)
    const options = this.#runOptions.begin(call.tokens === 1 ? this.#idOf(call) : undefined)
    const { ports, alone } = this.#placement
    const uploading = ports.upload?.(call)
    if (uploading !== undefined) await uploading
    const run = (): Promise<void> => this.#compute(window, options)
    await (alone === undefined ? run() : alone(run))
    const downloading = ports.download?.(call)
    if (downloading !== undefined) await downloading
  }

  /**
   * ONNX Runtime returns from a run that failed or was ended with kernels still queued on the device, which write to the
   * cache. They are waited for here: whatever comes next would, as it binds its inputs, but hold up the event loop for that.
   * (It may, where the pool's thread has run nothing on this device yet, and waits for another one: see `Device.enter`.)
   */
  async #compute({ binding }: PreparedWindow, options: Pointer): Promise<void> {
    const { api } = this.#environment
    try {
      await api.callAsync('RunWithBinding', this.#session, options, binding)
    } catch (error) {
      // A device that cannot even be waited for is found out by `check`.
      await api.callAsync('SynchronizeBoundInputs', binding).catch(() => undefined)
      throw error
    }
  }

  /**
   * After an illegal access, an uncorrectable error of its memory or a fall off the bus, CUDA answers every call of the
   * process with an error; after most other failures the next run is as good as ever.
   */
  async #fail(error: unknown): Promise<never> {
    const { check } = this.#placement
    if (check !== undefined && !this.#terminated && error instanceof RuntimeRunError && this.#lost === undefined) {
      await check().catch((cause: unknown) => {
        this.#lost = new DeviceLostError(this.#device.name, error.message, { cause })
      })
    }
    throw this.#lost ?? error
  }

  /** Of the window, above 0. */
  #idOf({ first, rows }: GraphCall): number {
    return first * ((this.#plan.slab?.rows ?? 0) + 1) + rows
  }

  #window(call: GraphCall): PreparedWindow {
    const id = this.#idOf(call)
    const known = this.#windows.get(id)
    if (known !== undefined) return known
    this.#makeRoom()
    const window = new PreparedWindow(this.#environment.api, this.#session, this.#placement.ports, this.#plan)
    try {
      window.bindCache(this.#placement.slab, call)
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
