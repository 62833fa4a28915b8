import { type GraphCall, type GraphPlan, type Port, portBytes, shapeOf } from '../binding.ts'
import type { Copier, Place } from './copier.ts'
import type { Environment } from './environment.ts'
import type { Pointer } from './functions.ts'
import type { DeviceMemory } from './memory.ts'

/** The memory that a graph's inputs come from and its outputs go to. */
export interface Ports {
  /**
   * ONNX Runtime brings an input to the device as it is bound, so that one whose values changed is bound again for each
   * run. Not so where it is bound in place.
   */
  readonly bindsEachRun: boolean
  memoryOf(port: string): ArrayBufferLike
  /** An OrtValue of the port's leading elements, to be bound; the caller's to release. */
  value(port: Port, call: GraphCall): Pointer
  /** Before the run: its inputs to where they are bound. */
  upload?(call: GraphCall): Promise<void>
  /** After the run: its outputs to the host. */
  download?(call: GraphCall): Promise<void>
}

type Plan = Pick<GraphPlan, 'inputs' | 'outputs'>

/** Of a graph that runs in the host's memory: bound in place. */
export class HostPorts implements Ports {
  readonly bindsEachRun = false
  readonly #environment: Environment
  readonly #buffers: ReadonlyMap<string, Uint8Array>

  constructor(environment: Environment, plan: Plan) {
    this.#environment = environment
    // Buffers of their own: a small typed array may lie in V8's heap, where it moves.
    this.#buffers = mapPorts(plan, port => new Uint8Array(new ArrayBuffer(bytesOf(port))))
  }

  memoryOf(port: string): ArrayBufferLike {
    return entry(this.#buffers, port).buffer
  }

  value(port: Port, call: GraphCall): Pointer {
    const { api, memory } = this.#environment
    return memory.tensor(api.addressOf(entry(this.#buffers, port.name)), port.type, shapeOf(port.dimensions, call))
  }
}

/**
 * Of a graph on a device: memory of the host that crosses to it fast, through ONNX Runtime's copies. The device's provider
 * allocates it, and tensors over it are told to be in plain memory of the host: 1.30 binds those that it knows as pinned
 * without a copy, and then fails on copying outputs onto themselves. What is pinned, CUDA sees by the address.
 */
export class CrossingPorts implements Ports {
  readonly bindsEachRun = true
  readonly #host: DeviceMemory
  readonly #memory: DeviceMemory
  readonly #pointers: Map<string, Pointer>
  readonly #buffers: ReadonlyMap<string, Uint8Array>

  constructor(host: DeviceMemory, memory: DeviceMemory, plan: Plan) {
    this.#host = host
    this.#memory = memory
    this.#pointers = allocatePorts(memory, plan)
    this.#buffers = mapPorts(plan, port => memory.view(entry(this.#pointers, port.name), bytesOf(port)))
  }

  memoryOf(port: string): ArrayBufferLike {
    return entry(this.#buffers, port).buffer
  }

  placeOf(port: string): Place {
    return { memory: this.#host, pointer: entry(this.#pointers, port) }
  }

  value(port: Port, call: GraphCall): Pointer {
    const { memory, pointer } = this.placeOf(port.name)
    return memory.tensor(pointer, port.type, shapeOf(port.dimensions, call))
  }

  close(): void {
    for (const pointer of this.#pointers.values()) this.#memory.free(pointer)
  }
}

/**
 * Of a graph whose runs are replayed: places of their own on the device, whose addresses never change, filled and
 * emptied by copies. A scalar stays on the host: the one that spans have is read there, and never on the device.
 */
export class ResidentPorts implements Ports {
  readonly bindsEachRun = false
  readonly #plan: Plan
  readonly #copier: Copier
  /** Owned from here on. */
  readonly #crossing: CrossingPorts
  readonly #memory: DeviceMemory
  readonly #pointers: ReadonlyMap<string, Pointer>

  constructor(crossing: CrossingPorts, memory: DeviceMemory, copier: Copier, plan: Plan) {
    this.#copier = copier
    this.#plan = { inputs: plan.inputs.filter(isMoved), outputs: plan.outputs.filter(isMoved) }
    this.#crossing = crossing
    this.#memory = memory
    try {
      this.#pointers = allocatePorts(memory, this.#plan)
    } catch (error) {
      crossing.close()
      throw error
    }
  }

  memoryOf(port: string): ArrayBufferLike {
    return this.#crossing.memoryOf(port)
  }

  value(port: Port, call: GraphCall): Pointer {
    if (!isMoved(port)) return this.#crossing.value(port, call)
    return this.#memory.tensor(entry(this.#pointers, port.name), port.type, shapeOf(port.dimensions, call))
  }

  async upload(call: GraphCall): Promise<void> {
    await Promise.all(
      this.#plan.inputs.map(port =>
        this.#copier.copy(this.#crossing.placeOf(port.name), this.#placeOf(port), usedBytes(port, call))
      )
    )
  }

  async download(call: GraphCall): Promise<void> {
    await Promise.all(
      this.#plan.outputs.map(port =>
        this.#copier.copy(this.#placeOf(port), this.#crossing.placeOf(port.name), usedBytes(port, call))
      )
    )
  }

  close(): void {
    for (const pointer of this.#pointers.values()) this.#memory.free(pointer)
    this.#crossing.close()
  }

  #placeOf({ name }: Port): Place {
    return { memory: this.#memory, pointer: entry(this.#pointers, name) }
  }
}

function isMoved({ dimensions }: Port): boolean {
  return dimensions.length > 0
}

function bytesOf({ elements, type }: Port): number {
  return elements * portBytes[type]
}

function usedBytes({ dimensions, type }: Port, call: GraphCall): number {
  return shapeOf(dimensions, call).reduce((product, size) => product * size, portBytes[type])
}

function allocatePorts(memory: DeviceMemory, plan: Plan): Map<string, Pointer> {
  const pointers = new Map<string, Pointer>()
  try {
    for (const port of [...plan.inputs, ...plan.outputs]) pointers.set(port.name, memory.allocate(bytesOf(port)))
    return pointers
  } catch (error) {
    for (const pointer of pointers.values()) memory.free(pointer)
    throw error
  }
}

function mapPorts<T>(plan: Plan, make: (port: Port) => T): Map<string, T> {
  return new Map([...plan.inputs, ...plan.outputs].map(port => [port.name, make(port)]))
}

function entry<T>(map: ReadonlyMap<string, T>, port: string): T {
  const found = map.get(port)
  if (found === undefined) throw new RangeError(`the graph has no port ${port}`)
  return found
}
