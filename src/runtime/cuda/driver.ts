import { readFile } from 'node:fs/promises'
import type { default as Koffi } from 'koffi'
import { DeviceUnavailableError } from '../errors.ts'

export interface Gpu {
  /** As CUDA counts: CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER apply. */
  readonly id: number
  readonly name: string
  readonly computeCapability: readonly [major: number, minor: number]
  readonly totalBytes: number
}

/** What the NVIDIA driver says of itself and its devices. */
export interface CudaDriver {
  /** Of CUDA, the newest that the driver runs: `13.0`. */
  readonly cudaVersion: string
  readonly gpus: readonly Gpu[]
  /** Bytes that nobody has allocated. Starts CUDA on the device, which takes memory of its own while it is asked. */
  freeBytes(id: number): number
}

type Call = (...args: readonly unknown[]) => number

/** CUdevice_attribute (cuda.h). */
const attributes = { capabilityMajor: 75, capabilityMinor: 76 } as const

const nameBytes = 256

/**
 * Asks the driver, by CUDA's driver API: it comes with the driver and needs no other library.
 *
 * @param library - libcuda, loaded
 * @throws DeviceUnavailableError with CUDA's own reason, such as `no CUDA-capable device is detected`
 */
export function askDriver(library: ReturnType<typeof Koffi.load>): CudaDriver {
  const function_ = (name: string, parameters: readonly string[]): Call => {
    const native = library.func(`int ${name}(${parameters.join(', ')})`)
    return (...args) => native(...args) as number
  }
  const errorString = function_('cuGetErrorString', ['int', '_Out_ const char **'])
  const check = (what: string, status: number): void => {
    if (status === 0) return
    const text: [string | null] = [null]
    errorString(status, text)
    const message = `the NVIDIA driver says: ${text[0] ?? 'unknown error'} (${what}, ${status})`
    throw new DeviceUnavailableError(message, { details: { function: what, status } })
  }
  const one = (name: string, type: string, ...args: readonly (readonly [type: string, value: unknown])[]): unknown => {
    const out: [unknown] = [null]
    check(
      name,
      function_(name, [`_Out_ ${type} *`, ...args.map(([each]) => each)])(out, ...args.map(([, each]) => each))
    )
    return out[0]
  }
  check('cuInit', function_('cuInit', ['uint'])(0))
  const version = one('cuDriverGetVersion', 'int') as number
  const count = one('cuDeviceGetCount', 'int') as number
  const deviceOf = (id: number): number => one('cuDeviceGet', 'int', ['int', id]) as number
  const describe = (id: number): Gpu => {
    const device = deviceOf(id)
    const name = Buffer.alloc(nameBytes)
    check('cuDeviceGetName', function_('cuDeviceGetName', ['void *', 'int', 'int'])(name, nameBytes, device))
    const attribute = (which: number): number => {
      return one('cuDeviceGetAttribute', 'int', ['int', which], ['int', device]) as number
    }
    return {
      id,
      name: name.toString('utf8', 0, name.indexOf(0)),
      computeCapability: [attribute(attributes.capabilityMajor), attribute(attributes.capabilityMinor)],
      totalBytes: Number(one('cuDeviceTotalMem_v2', 'size_t', ['int', device]))
    }
  }
  return {
    cudaVersion: versionText(version),
    gpus: Array.from({ length: count }, (_, id) => describe(id)),
    freeBytes: id => {
      const device = deviceOf(id)
      const context = one('cuDevicePrimaryCtxRetain', 'void *', ['int', device])
      try {
        check('cuCtxPushCurrent', function_('cuCtxPushCurrent_v2', ['void *'])(context))
        const [free, total]: [[unknown], [unknown]] = [[null], [null]]
        const status = function_('cuMemGetInfo_v2', ['_Out_ size_t *', '_Out_ size_t *'])(free, total)
        one('cuCtxPopCurrent_v2', 'void *')
        check('cuMemGetInfo', status)
        return Number(free[0])
      } finally {
        function_('cuDevicePrimaryCtxRelease_v2', ['int'])(device)
      }
    }
  }
}

/** CUDA's versions: 13000 is 13.0, 12090 is 12.9. */
export function versionText(version: number): string {
  return `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`
}

/** The driver's own version, such as `580.95.05`; null where there is no driver, or it does not say. */
export async function driverVersion(file = '/proc/driver/nvidia/version'): Promise<string | null> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return /Module\s+(?:for \S+\s+)?([\d.]+)/.exec(text)?.[1] ?? null
}
