import { type GraphCall, type GraphPlan, type Port, rowBytes } from '../binding.ts'
import type { Api } from './api.ts'
import type { Pointer } from './functions.ts'
import type { Ports } from './ports.ts'
import type { SlabMemory } from './slab.ts'

interface BoundPort {
  readonly port: Port
  readonly value: Pointer
}

/**
 * An IOBinding of a window of the slab: everything that a run needs, bound once, so that a run of as many tokens as the
 * last one allocates nothing.
 */
export class PreparedWindow {
  readonly binding: Pointer
  readonly #api: Api
  readonly #ports: Ports
  readonly #plan: GraphPlan
  readonly #cacheValues: Pointer[] = []
  #inputs: BoundPort[] = []
  #outputs: BoundPort[] = []
  #tokens = 0

  constructor(api: Api, session: Pointer, ports: Ports, plan: GraphPlan) {
    this.#api = api
    this.#ports = ports
    this.#plan = plan
    this.binding = api.create('CreateIoBinding', session)
  }

  /** Binds the rows of the call's window as past and present: the same memory, so that runs extend it in place. */
  bindCache({ memory, layers }: SlabMemory, { first, rows }: GraphCall): void {
    const slab = this.#plan.slab
    if (slab === undefined) return
    for (const [index, layer] of slab.layers.entries()) {
      const cache = layers[index]
      if (cache === undefined) throw new RangeError(`no cache for layer ${index}`)
      const shape = [rows, layer.heads, slab.capacity, layer.headDim]
      const offset = BigInt(first * rowBytes(slab, layer))
      const bind = (address: Pointer, past: string, present: string): void => {
        const value = memory.tensor(address + offset, slab.type, shape)
        this.#cacheValues.push(value)
        this.#api.call('BindInput', this.binding, past, value)
        this.#api.call('BindOutput', this.binding, present, value)
      }
      bind(cache.key, layer.pastKey, layer.presentKey)
      bind(cache.value, layer.pastValue, layer.presentValue)
    }
  }

  /** Binds inputs and outputs anew where the number of tokens is not the last run's, or where each run wants it. */
  bindPorts(call: GraphCall): void {
    if (call.tokens === this.#tokens) {
      if (this.#ports.bindsEachRun) this.#bindInputs()
      return
    }
    const outdated = [...this.#inputs, ...this.#outputs]
    this.#inputs = []
    this.#outputs = []
    this.#tokens = 0
    try {
      for (const port of this.#plan.inputs) this.#inputs.push({ port, value: this.#ports.value(port, call) })
      for (const port of this.#plan.outputs) this.#outputs.push({ port, value: this.#ports.value(port, call) })
      this.#bindInputs()
      for (const { port, value } of this.#outputs) this.#api.call('BindOutput', this.binding, port.name, value)
      this.#tokens = call.tokens
    } finally {
      // What is still bound of them, the binding holds itself.
      for (const { value } of outdated) this.#api.release('ReleaseValue', value)
    }
  }

  close(): void {
    this.#api.release('ReleaseIoBinding', this.binding)
    for (const value of this.#cacheValues) this.#api.release('ReleaseValue', value)
    for (const { value } of [...this.#inputs, ...this.#outputs]) this.#api.release('ReleaseValue', value)
  }

  #bindInputs(): void {
    for (const { port, value } of this.#inputs) this.#api.call('BindInput', this.binding, port.name, value)
    // What binding copies to a device goes by a stream of its own, which the run's would not wait for.
    if (this.#ports.bindsEachRun) this.#api.call('SynchronizeBoundInputs', this.binding)
  }
}
