import { rowBytes, type Slab } from '../binding.ts'
import type { Pointer } from './functions.ts'
import type { DeviceMemory } from './memory.ts'

/** The addresses of one layer's cache. */
export interface LayerCache {
  readonly key: Pointer
  readonly value: Pointer
}

/** The device's memory behind a slab. */
export class SlabMemory {
  readonly memory: DeviceMemory
  readonly layers: readonly LayerCache[]
  readonly #allocated: { readonly pointer: Pointer; readonly bytes: number }[] = []
  #caches: Uint8Array[] | undefined

  constructor(memory: DeviceMemory, slab: Slab | undefined) {
    this.memory = memory
    try {
      this.layers = (slab?.layers ?? []).map(layer => {
        const bytes = slab === undefined ? 0 : slab.rows * rowBytes(slab, layer)
        return { key: this.#allocate(bytes), value: this.#allocate(bytes) }
      })
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** For each layer its keys, then its values, [rows, heads, capacity, headDim]: where each is, and its bytes. */
  get tensors(): readonly { readonly pointer: Pointer; readonly bytes: number }[] {
    return this.#allocated
  }

  /** The same as memory of the host, where it is; not to be used after `close`. */
  get caches(): readonly Uint8Array[] {
    this.#caches ??= this.#allocated.map(({ pointer, bytes }) => this.memory.view(pointer, bytes))
    return this.#caches
  }

  close(): void {
    this.#caches = undefined
    for (const { pointer } of this.#allocated.splice(0)) this.memory.free(pointer)
  }

  #allocate(bytes: number): Pointer {
    const pointer = this.memory.allocate(bytes)
    this.#allocated.push({ pointer, bytes })
    return pointer
  }
}
