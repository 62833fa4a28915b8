import type { ComputeType } from '../../model/index.ts'
import { cacheBytes, type PortType, portBytes } from '../binding.ts'
import type { Api } from './api.ts'
import type { Pointer } from './functions.ts'

export type ElementType = PortType | ComputeType | 'uint8'

/** ONNXTensorElementDataType, and bytes of an element. */
const elements: Readonly<Record<ElementType, { readonly code: number; readonly bytes: number }>> = {
  float32: { code: 1, bytes: portBytes.float32 },
  int32: { code: 6, bytes: portBytes.int32 },
  int64: { code: 7, bytes: portBytes.int64 },
  uint8: { code: 2, bytes: 1 },
  f32: { code: 1, bytes: cacheBytes.f32 },
  f16: { code: 10, bytes: cacheBytes.f16 },
  bf16: { code: 16, bytes: cacheBytes.bf16 }
}

/** OrtAllocatorType and OrtMemType: memory of a device as it is, without a role in an operator. */
const deviceAllocator = 0
const defaultMemory = 0

/** Memory as ONNX Runtime names it (`OrtMemoryInfo`): `Cpu`, `Cuda`, `CudaPinned`. */
export interface MemoryName {
  readonly name: string
  /** Number of the device. */
  readonly id: number
}

/** A place that tensors can live in: memory that ONNX Runtime describes to itself, and how to get some. */
export class DeviceMemory {
  readonly #api: Api
  readonly #info: Pointer
  readonly #allocator: Pointer
  /** Whether the allocator is a session's, and given back before it. */
  readonly #owned: boolean

  private constructor(api: Api, info: Pointer, allocator: Pointer, owned: boolean) {
    this.#api = api
    this.#info = info
    this.#allocator = allocator
    this.#owned = owned
  }

  /** The host's. Large allocations come from the system untouched, so that pages nobody writes to cost nothing. */
  static host(api: Api): DeviceMemory {
    const info = api.create('CreateCpuMemoryInfo', deviceAllocator, defaultMemory)
    return new DeviceMemory(api, info, api.create('GetAllocatorWithDefaultOptions'), false)
  }

  /** Memory that a session's execution providers allocate; to be closed before the session is. */
  static ofSession(api: Api, session: Pointer, { name, id }: MemoryName): DeviceMemory {
    const info = api.create('CreateMemoryInfo', name, deviceAllocator, id, defaultMemory)
    try {
      return new DeviceMemory(api, info, api.create('CreateAllocator', session, info), true)
    } catch (error) {
      api.release('ReleaseMemoryInfo', info)
      throw error
    }
  }

  /** Uninitialized. */
  allocate(bytes: number): Pointer {
    return this.#api.create('AllocatorAlloc', this.#allocator, bytes)
  }

  free(pointer: Pointer): void {
    this.#api.call('AllocatorFree', this.#allocator, pointer)
  }

  /** Allocated memory of the host to read and write; to be asked for once an allocation, and not used after it was freed. */
  view(pointer: Pointer, bytes: number): Uint8Array {
    return this.#api.viewOf(pointer, bytes)
  }

  /** An OrtValue over memory that the caller keeps alive; it owns nothing but itself. */
  tensor(data: Pointer, type: ElementType, shape: readonly number[]): Pointer {
    const { code, bytes } = elements[type]
    const size = shape.reduce((product, dimension) => product * dimension, bytes)
    const sizes = BigInt64Array.from(shape, BigInt)
    return this.#api.create('CreateTensorWithDataAsOrtValue', this.#info, data, size, sizes, shape.length, code)
  }

  close(): void {
    if (this.#owned) this.#api.release('ReleaseAllocator', this.#allocator)
    this.#api.release('ReleaseMemoryInfo', this.#info)
  }
}
