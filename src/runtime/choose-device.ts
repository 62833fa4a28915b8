import { type Device, hostDevice } from './c-api/index.ts'
import { cudaDevice } from './cuda/device.ts'
import { firstCuda, requireCuda, type UsableGpu } from './cuda/require.ts'
import type { CudaOptions } from './cuda/options.ts'
import { DeviceUnavailableError, RuntimeLoadError } from './errors.ts'

/** Where to compute: `cuda` is the first GPU that computes; `auto` the same, else the processor. */
export type DeviceWish = 'auto' | 'cpu' | 'cuda' | `cuda:${number}`

export interface DeviceInit {
  readonly device: DeviceWish
  /** Holds ONNX Runtime's shared library and its providers. @default what onnxruntime-node ships */
  readonly libraryFolder?: string | undefined
  readonly cuda?: CudaOptions | undefined
}

export interface ChosenDevice {
  readonly device: Device
  /** Why this one, for people. */
  readonly reason: string
  /** Null where the host's memory is the device's. */
  readonly gpu: {
    readonly name: string
    readonly computeCapability: readonly [major: number, minor: number]
    /** Of its memory, when it was chosen. */
    readonly freeBytes: number
  } | null
}

/**
 * The device to compute on.
 *
 * @throws DeviceUnavailableError for a GPU that was asked for and cannot be used; RuntimeLoadError for a `libraryFolder`
 * that holds no ONNX Runtime of use
 */
export async function chooseDevice(init: DeviceInit): Promise<ChosenDevice> {
  const { device: wish, libraryFolder } = init
  if (wish === 'cpu') return { device: hostDevice, reason: 'asked for', gpu: null }
  const use = (gpu: UsableGpu, reason: string): ChosenDevice => {
    return { device: cudaDevice(gpu.id, init.cuda), reason: `${gpu.name}, ${reason}`, gpu }
  }
  if (wish === 'cuda') return use(await firstCuda(libraryFolder), 'asked for')
  if (wish !== 'auto') return use(await requireCuda(Number(wish.slice('cuda:'.length)), libraryFolder), 'asked for')
  try {
    return use(await firstCuda(libraryFolder), 'which CUDA can use')
  } catch (error) {
    if (!isAbsence(error, libraryFolder)) throw error
    const { problem } = error.details
    return {
      device: hostDevice,
      reason: `no CUDA: ${typeof problem === 'string' ? problem : error.message}`,
      gpu: null
    }
  }
}

/** What makes `auto` take the processor. A folder that was named is meant to be used. */
function isAbsence(
  error: unknown,
  libraryFolder: string | undefined
): error is DeviceUnavailableError | RuntimeLoadError {
  return error instanceof DeviceUnavailableError || (error instanceof RuntimeLoadError && libraryFolder === undefined)
}
