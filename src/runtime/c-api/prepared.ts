import { type GraphCall, type GraphPlan, type Port, rowElements, shapeOf } from '../binding.ts'
import type { Api } from './api.ts'
import type { Pointer } from './functions.ts'
import type { DeviceMemory } from './memory.ts'
import type { LayerCache } from './slab.ts'

function elementType(port: Port): 'float32' | 'int32' | 'int64' {
  if (port.memory instanceof Float32Array) return 'float32'
  return port.memory instanceof Int32Array ? 'int32' : 'int64'
}

/**
 * An IOBinding of a window of the slab: everything that a run needs, bound once, so that a run of as many tokens as the
 * last one allocates nothing.
 */
export class PreparedWindow {
  readonly binding: Pointer
  readonly #api: Api
  readonly #memory: DeviceMemory
  readonly #plan: GraphPlan
  readonly #cacheValues: Pointer[] = []
  #portValues: Pointer[] = []
  #tokens = 0

  constructor(api: Api, session: Pointer, memory: DeviceMemory, plan: GraphPlan) {
    this.#api = api
    this.#memory = memory
    this.#plan = plan
    this.binding = api.create('CreateIoBinding', session)
  }

  /** Binds the rows of the call's window as past and present: the same memory, so that runs extend it in place. */
  bindCache(caches: readonly LayerCache[], { first, rows }: GraphCall): void {
    const slab = this.#plan.slab
    if (slab === undefined) return
    for (const [index, layer] of slab.layers.entries()) {
      const cache = caches[index]
      if (cache === undefined) throw new RangeError(`no cache for layer ${index}`)
      const shape = [rows, layer.heads, slab.capacity, layer.headDim]
      const offset = BigInt(first * rowElements(slab, layer) * 4)
      const bind = (address: Pointer, past: string, present: string): void => {
        const value = this.#memory.tensor(address + offset, 'float32', shape)
        this.#cacheValues.push(value)
        this.#api.call('BindInput', this.binding, past, value)
        this.#api.call('BindOutput', this.binding, present, value)
      }
      bind(cache.key, layer.pastKey, layer.presentKey)
      bind(cache.value, layer.pastValue, layer.presentValue)
    }
  }

  /** Binds inputs and outputs anew where the number of tokens is not the last run's. */
  bindPorts(call: GraphCall): void {
    if (call.tokens === this.#tokens) return
    const outdated = this.#portValues
    this.#portValues = []
    this.#tokens = 0
    const bind = (command: 'BindInput' | 'BindOutput', port: Port): void => {
      const address = this.#api.addressOf(port.memory)
      const value = this.#memory.tensor(address, elementType(port), shapeOf(port.dimensions, call))
      this.#portValues.push(value)
      this.#api.call(command, this.binding, port.name, value)
    }
    for (const port of this.#plan.inputs) bind('BindInput', port)
    for (const port of this.#plan.outputs) bind('BindOutput', port)
    this.#tokens = call.tokens
    for (const value of outdated) this.#api.release('ReleaseValue', value)
  }

  close(): void {
    this.#api.release('ReleaseIoBinding', this.binding)
    for (const value of this.#cacheValues) this.#api.release('ReleaseValue', value)
    for (const value of this.#portValues) this.#api.release('ReleaseValue', value)
  }
}
