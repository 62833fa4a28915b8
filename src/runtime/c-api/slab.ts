import { rowElements, type Slab } from '../binding.ts'
import type { Pointer } from './functions.ts'
import type { DeviceMemory } from './memory.ts'

/** The addresses of one layer's cache. */
export interface LayerCache {
  readonly key: Pointer
  readonly value: Pointer
}

/** The device's memory behind a slab. */
export class SlabMemory {
  readonly layers: readonly LayerCache[]
  readonly #memory: DeviceMemory
  readonly #pointers: Pointer[] = []

  constructor(memory: DeviceMemory, slab: Slab | undefined) {
    this.#memory = memory
    try {
      this.layers = (slab?.layers ?? []).map(layer => {
        const bytes = (slab?.rows ?? 0) * (slab === undefined ? 0 : rowElements(slab, layer)) * 4
        return { key: this.#allocate(bytes), value: this.#allocate(bytes) }
      })
    } catch (error) {
      this.close()
      throw error
    }
  }

  close(): void {
    for (const pointer of this.#pointers.splice(0)) this.#memory.free(pointer)
  }

  #allocate(bytes: number): Pointer {
    const pointer = this.#memory.allocate(bytes)
    this.#pointers.push(pointer)
    return pointer
  }
}
