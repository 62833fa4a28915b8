import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { platform } from 'node:process'
import { toAndthenError } from '../../base/index.ts'
import { openEnvironment } from '../c-api/environment.ts'
import { importKoffi } from '../c-api/library.ts'
import { cutOffProblem, readElf } from '../elf.ts'
import { DeviceUnavailableError } from '../errors.ts'
import { tryDevice } from '../trial.ts'
import { cudaDevice } from './device.ts'
import { askDriver, type CudaDriver, driverVersion, type Gpu, tooOld, versionText } from './driver.ts'
import { type CudaLibrary, libraryFolders, loadedLibrary, loadLibraries } from './libraries.ts'
import { otherRelease } from './provider-release.ts'

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
  const needed = provider === null ? [] : ((await readElf(provider))?.needed ?? [])
  const names = [driverLibrary, ...needed.filter(name => cudaNames.test(name) && name !== driverLibrary)]
  const libraries = [...(await sharedPart(provider, folder)), ...(await loadLibraries(koffi, names, folders))]
  const [cudnn = { name: cudnnLibrary, path: null }] =
    provider === null ? [] : await loadLibraries(koffi, [cudnnLibrary], folders)
  const cudart = names.find(name => name.startsWith('libcudart.'))
  const runtimeVersion = numberFrom(cudart, 'cudaRuntimeGetVersion')
  const cudaVersion = runtimeVersion === null ? null : versionText(runtimeVersion)
  const { driver, problem: driverProblem } = askedDriver(libraries)
  // What is farther below comes first: who installs the libraries for a driver that is too old for them does it in vain.
  const problem =
    driverProblem ??
    (await providerProblem(provider, api)) ??
    tooOld(driver?.cudaVersion ?? null, cudaVersion ?? majorOf(cudart)) ??
    missingProblem(libraries) ??
    tryProvider(api, driver?.gpus[0]?.id ?? 0)
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

function askedDriver(libraries: readonly CudaLibrary[]): { driver?: CudaDriver; problem: string | null } {
  if (platform !== 'linux') return { problem: `CUDA is supported on Linux, and this is ${platform}` }
  const library = loadedLibrary(driverLibrary)
  if (library === undefined) {
    const why = libraries.find(({ name }) => name === driverLibrary)?.problem ?? 'not found'
    return { problem: `no NVIDIA driver is installed (${driverLibrary}: ${why})` }
  }
  try {
    const driver = askDriver(library)
    return { driver, problem: driver.gpus.length > 0 ? null : 'the NVIDIA driver shows no device' }
  } catch (error) {
    return { problem: toAndthenError(error).message }
  }
}

/** What keeps a provider from being loaded at all, for people. */
export async function providerProblem(
  provider: string | null,
  { library, version }: CudaReport['runtime']
): Promise<string | null> {
  if (provider === null) return `${providerName} is not in ${dirname(library)}, beside ONNX Runtime`
  const cutOff = await cutOffProblem(provider)
  if (cutOff !== null) return cutOff
  const other = await otherRelease(provider, version)
  if (other === null) return null
  return `${provider} is of ONNX Runtime ${other}, and the library beside it of ${version}: take both from one release`
}

function missingProblem(libraries: readonly CudaLibrary[]): string | null {
  const missing = libraries.filter(({ path }) => path === null)
  if (missing.length === 0) return null
  return `the CUDA provider lacks ${missing.map(({ name, problem }) => `${name} (${problem})`).join(', ')}`
}

/** `13`, of libcudart.so.13: what a library that needs it is built for. */
function majorOf(cudart: string | undefined): string | null {
  return /\.so\.(\d+)$/.exec(cudart ?? '')?.[1] ?? null
}

async function sharedPart(provider: string | null, folder: string): Promise<CudaLibrary[]> {
  if (provider === null) return []
  const path = await existing(join(folder, sharedName))
  return [path === null ? { name: sharedName, path, problem: 'not found' } : { name: sharedName, path }]
}

/** ONNX Runtime, loaded. */
type Runtime = Awaited<ReturnType<typeof openEnvironment>>['api']

/** Null where CUDA does not start on the GPU, as where others have taken all of it: no reason to tell nothing at all. */
function freeOf(driver: CudaDriver | undefined, id: number): number | null {
  try {
    return driver?.freeBytes(id) ?? null
  } catch (error) {
    if (error instanceof DeviceUnavailableError) return null
    throw error
  }
}

/** The provider's own complaint, or null where it loads. */
function tryProvider(api: Runtime, id: number): string | null {
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

async function existing(file: string): Promise<string | null> {
  const there = await stat(file).catch(() => null)
  return there?.isFile() === true ? file : null
}
