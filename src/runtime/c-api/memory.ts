import type { Api } from './api.ts'
import type { Pointer } from './functions.ts'

/** ONNXTensorElementDataType */
const elementTypes = { float32: 1, int32: 6, int64: 7 } as const
type ElementType = keyof typeof elementTypes

/** OrtAllocatorType and OrtMemType of plain host memory. */
const deviceAllocator = 0
const defaultMemory = 0

/** A place that tensors can live in: memory that ONNX Runtime describes to itself, and how to get some. */
export class DeviceMemory {
  readonly #api: Api
  readonly #info: Pointer
  readonly #allocator: Pointer

  private constructor(api: Api, info: Pointer, allocator: Pointer) {
    this.#api = api
    this.#info = info
    this.#allocator = allocator
  }

  /** The host's. Large allocations come from the system untouched, so that pages nobody writes to cost nothing. */
  static host(api: Api): DeviceMemory {
    const info = api.create('CreateCpuMemoryInfo', deviceAllocator, defaultMemory)
    return new DeviceMemory(api, info, api.create('GetAllocatorWithDefaultOptions'))
  }

  /** Uninitialized. */
  allocate(bytes: number): Pointer {
    return this.#api.create('AllocatorAlloc', this.#allocator, bytes)
  }

  free(pointer: Pointer): void {
    this.#api.call('AllocatorFree', this.#allocator, pointer)
  }

  /** Allocated memory to read and write; to be asked for once an allocation, and not used after it was freed. */
  view(pointer: Pointer, bytes: number): Uint8Array {
    return this.#api.viewOf(pointer, bytes)
  }

  /** An OrtValue over memory that the caller keeps alive; it owns nothing but itself. */
  tensor(data: Pointer, type: ElementType, shape: readonly number[]): Pointer {
    const bytes = shape.reduce((product, size) => product * size, type === 'int64' ? 8 : 4)
    const sizes = BigInt64Array.from(shape, BigInt)
    return this.#api.create(
      'CreateTensorWithDataAsOrtValue',
      this.#info,
      data,
      bytes,
      sizes,
      shape.length,
      elementTypes[type]
    )
  }

  close(): void {
    this.#api.release('ReleaseMemoryInfo', this.#info)
  }
}
