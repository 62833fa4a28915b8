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

/** What to do about some of its errors (CUresult, cuda.h), where CUDA's own words leave that open. */
const remedies: Readonly<Record<number, string>> = {
  34: "the CUDA toolkit's stub is found as libcuda.so.1 before the driver's own: take its folder out of LD_LIBRARY_PATH",
  100: 'see whether nvidia-smi -L lists a GPU, and whether CUDA_VISIBLE_DEVICES hides it; a container is given its GPUs as it is started (docker run --gpus all)',
  802: 'GPUs that NVSwitch joins wait for nvidia-fabricmanager: start it, in the release of the driver',
  803: "libcuda.so.1 and the kernel's module are of different releases: restart the machine after an update of the driver; in a container, take the host's library and not one of the image's",
  804: "a cuda-compat library, which is for data-center GPUs only, is found before the driver's own: take its folder out of LD_LIBRARY_PATH",
  999: 'nvidia-modprobe -u -c 0, as root, makes /dev/nvidia-uvm where that is missing; else restart the machine'
}

/** By the major version of CUDA, the oldest driver that runs it (CUDA's release notes, "Minor Version Compatibility"). */
export const oldestDrivers = { 12: '525', 13: '580' } as const satisfies Readonly<Record<number, string>>

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
    const remedy = remedies[status]
    const message = `the NVIDIA driver says: ${text[0] ?? 'unknown error'} (${what}, ${status})`
    throw new DeviceUnavailableError(remedy === undefined ? message : `${message}: ${remedy}`, {
      details: { function: what, status }
    })
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

/**
 * A driver runs what was built for its own major version of CUDA and for earlier ones (CUDA's compatibility guide).
 *
 * @param driver - of CUDA, the newest that the driver runs
 * @param built - of CUDA, what something is built for: `13.0`, or `13`
 * @returns why not, for people; null where it does, or either is not known
 */
export function tooOld(driver: string | null, built: string | null): string | null {
  if (driver === null || built === null) return null
  const major = Number.parseInt(built)
  if (Number.parseInt(driver) >= major) return null
  const oldest = (oldestDrivers as Readonly<Record<number, string>>)[major]
  const update = oldest === undefined ? 'update the driver' : `update the driver to ${oldest} or later`
  return `the NVIDIA driver runs CUDA up to ${driver} and the provider is built for ${built}: ${update}`
}

/** The driver's own version, such as `580.95.05`; null where there is no driver, or it does not say. */
export async function driverVersion(file = '/proc/driver/nvidia/version'): Promise<string | null> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return /Module\s+(?:for \S+\s+)?([\d.]+)/.exec(text)?.[1] ?? null
}
