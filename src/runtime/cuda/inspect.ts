import { access } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { platform } from 'node:process'
import { toAndthenError } from '../../base/index.ts'
import { openEnvironment } from '../c-api/environment.ts'
import { importKoffi } from '../c-api/library.ts'
import { DeviceUnavailableError } from '../errors.ts'
import { tryDevice } from '../trial.ts'
import { cudaDevice } from './device.ts'
import { askDriver, type CudaDriver, driverVersion, type Gpu, versionText } from './driver.ts'
import { neededLibraries } from './elf.ts'
import { type CudaLibrary, libraryFolders, loadedLibrary, loadLibraries } from './libraries.ts'

/** What there is of CUDA, and what is missing for a span to run on it. */
export interface CudaReport {
  /** ONNX Runtime's library, which the provider must lie beside. */
  readonly runtime: { readonly version: string; readonly library: string }
  /** Path of the CUDA provider; null where it is not beside the library. */
  readonly provider: string | null
  /** What the provider needs of CUDA, and where it was found. */
  readonly libraries: readonly CudaLibrary[]
  /** Where they were looked for, before the places that the system's loader knows. */
  readonly folders: readonly string[]
  /** The provider does without; spans have nothing that uses it. */
  readonly cudnn: { readonly version: string | null } & CudaLibrary
  /** Of the CUDA runtime library, such as `13.0`. */
  readonly cudaVersion: string | null
  readonly driver: { readonly version: string | null; readonly cudaVersion: string | null }
  readonly gpus: readonly AskedGpu[]
  /** The first thing that keeps CUDA from being used, for people; null where it can be. */
  readonly problem: string | null
}

/** Both are null of a GPU that CUDA was not started on. */
export interface AskedGpu extends Gpu {
  /** Of its memory, before anything was computed on it. */
  readonly freeBytes: number | null
  /** Why it computes nothing; null also where it does. */
  readonly problem: string | null
}

export const providerName = 'libonnxruntime_providers_cuda.so'
/** By which ONNX Runtime and its providers reach each other; it must lie beside both. */
const sharedName = 'libonnxruntime_providers_shared.so'
export const driverLibrary = 'libcuda.so.1'
const cudnnLibrary = 'libcudnn.so.9'
const cudaNames = /^lib(cu|nv)/

/**
 * Looks for everything that CUDA needs, from ONNX Runtime's folder to the devices. Loads what it finds; what is missing
 * is part of the report.
 *
 * @param asks whether CUDA is started on a GPU: to ask for its free memory and, where it is `usable` since nothing is
 * missing, to try it out. @default all are
 * @throws RuntimeLoadError where ONNX Runtime itself does not load
 */
export async function inspectCuda(
  libraryFolder?: string,
  asks: (id: number, usable: boolean) => boolean = () => true
): Promise<CudaReport> {
  const koffi = await importKoffi()
  const { api } = await openEnvironment(libraryFolder)
  const folder = dirname(api.library)
  const folders = await libraryFolders(folder)
  const provider = await existing(join(folder, providerName))
  const needed = provider === null ? [] : ((await neededLibraries(provider)) ?? [])
  const names = [driverLibrary, ...needed.filter(name => cudaNames.test(name) && name !== driverLibrary)]
  const libraries = [...(await sharedPart(provider, folder)), ...(await loadLibraries(koffi, names, folders))]
  const [cudnn = { name: cudnnLibrary, path: null }] =
    provider === null ? [] : await loadLibraries(koffi, [cudnnLibrary], folders)
  let problem = firstProblem(provider, folder, libraries)
  let driver: CudaDriver | undefined
  const driverHandle = loadedLibrary(driverLibrary)
  if (driverHandle !== undefined) {
    try {
      driver = askDriver(driverHandle)
      if (driver.gpus.length === 0) problem ??= 'the NVIDIA driver shows no device'
    } catch (error) {
      problem ??= toAndthenError(error).message
    }
  }
  const runtimeVersion = numberFrom(
    names.find(name => name.startsWith('libcudart.')),
    'cudaRuntimeGetVersion'
  )
  const cudaVersion = runtimeVersion === null ? null : versionText(runtimeVersion)
  problem ??= tooOld(driver?.cudaVersion ?? null, cudaVersion) ?? tryProvider(api, driver?.gpus[0]?.id ?? 0)
  const gpus: AskedGpu[] = []
  for (const gpu of driver?.gpus ?? []) {
    const asked = asks(gpu.id, problem === null)
    const freeBytes = asked ? freeOf(driver, gpu.id) : null
    gpus.push({ ...gpu, freeBytes, problem: asked && problem === null ? await tryGpu(gpu, libraryFolder) : null })
  }
  return {
    runtime: { version: api.version, library: api.library },
    provider,
    libraries,
    cudnn: { ...cudnn, version: cudnnVersion() },
    cudaVersion,
    folders,
    driver: { version: await driverVersion(), cudaVersion: driver?.cudaVersion ?? null },
    gpus,
    problem
  }
}

function firstProblem(provider: string | null, folder: string, libraries: readonly CudaLibrary[]): string | null {
  if (platform !== 'linux') return `CUDA is supported on Linux, and this is ${platform}`
  const driver = libraries.find(({ name }) => name === driverLibrary)
  if (driver?.path === null) return `no NVIDIA driver is installed (${driverLibrary}: ${driver.problem})`
  if (provider === null) return `${providerName} is not in ${folder}, beside ONNX Runtime`
  const missing = libraries.filter(({ path }) => path === null)
  if (missing.length === 0) return null
  return `the CUDA provider lacks ${missing.map(({ name, problem }) => `${name} (${problem})`).join(', ')}`
}

async function sharedPart(provider: string | null, folder: string): Promise<CudaLibrary[]> {
  if (provider === null) return []
  const path = await existing(join(folder, sharedName))
  return [path === null ? { name: sharedName, path, problem: 'not found' } : { name: sharedName, path }]
}

/** Null where CUDA does not start on the GPU, as where others have taken all of it: no reason to tell nothing at all. */
function freeOf(driver: CudaDriver | undefined, id: number): number | null {
  try {
    return driver?.freeBytes(id) ?? null
  } catch (error) {
    if (error instanceof DeviceUnavailableError) return null
    throw error
  }
}

/** A driver runs what was built for its own major version of CUDA and for earlier ones (CUDA's compatibility guide). */
export function tooOld(driver: string | null, runtime: string | null): string | null {
  if (driver === null || runtime === null || Number.parseInt(driver) >= Number.parseInt(runtime)) return null
  return `the NVIDIA driver runs CUDA up to ${driver} and the provider is built for ${runtime}: update the driver`
}

/** The provider's own complaint, or null where it loads. */
function tryProvider(api: Parameters<ReturnType<typeof cudaDevice>['configure']>[0], id: number): string | null {
  const options = api.create('CreateSessionOptions')
  try {
    cudaDevice(id).configure(api, options, false)
    return null
  } catch (error) {
    return toAndthenError(error).message
  } finally {
    api.release('ReleaseSessionOptions', options)
  }
}

/** Why a GPU computes nothing, or null where it does. */
async function tryGpu({ id }: Gpu, libraryFolder: string | undefined): Promise<string | null> {
  try {
    await tryDevice(cudaDevice(id), libraryFolder)
    return null
  } catch (error) {
    return toAndthenError(error).message
  }
}

function numberFrom(library: string | undefined, name: string): number | null {
  const handle = library === undefined ? undefined : loadedLibrary(library)
  if (handle === undefined) return null
  const out: [number | null] = [null]
  const status = handle.func(`int ${name}(_Out_ int *)`)(out) as number
  return status === 0 ? out[0] : null
}

/** cuDNN 9 counts in ten thousands, hundreds and ones (cudnn_version.h). */
function cudnnVersion(): string | null {
  const handle = loadedLibrary(cudnnLibrary)
  if (handle === undefined) return null
  const version = Number(handle.func('size_t cudnnGetVersion()')())
  return `${Math.floor(version / 10_000)}.${Math.floor((version % 10_000) / 100)}.${version % 100}`
}

function existing(file: string): Promise<string | null> {
  return access(file).then(
    () => file,
    () => null
  )
}
