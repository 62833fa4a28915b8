import { DeviceUnavailableError } from '../errors.ts'
import { oldestDrivers, tooOld } from './driver.ts'
import { type AskedGpu, type CudaReport, driverLibrary, inspectCuda, providerName } from './inspect.ts'

/** In the ranges that onnxruntime-gpu's own extras ask for, and none that no span uses, as cuDNN. */
const cudaPackages = [
  'nvidia-cublas~=13.0',
  'nvidia-cuda-nvrtc~=13.0',
  'nvidia-cuda-runtime~=13.0',
  'nvidia-curand~=10.0'
]

/** Of Python nothing is used afterwards: its libraries are taken as they are for one version, whichever pip runs. */
const pip = 'pip install --upgrade --no-deps --ignore-requires-python --only-binary :all: --python-version 3.12'

/** That runs them. */
export const oldestDriver = oldestDrivers[13]

/** A GPU that computes. */
export interface UsableGpu extends AskedGpu {
  readonly freeBytes: number
}

/**
 * A GPU, if spans can be computed on it.
 *
 * @throws DeviceUnavailableError saying what is missing and what to do, RuntimeLoadError
 */
export async function requireCuda(id: number, libraryFolder?: string): Promise<UsableGpu> {
  const report = await inspectCuda(libraryFolder, (each, usable) => usable && each === id)
  const gpu = report.gpus.find(each => each.id === id)
  const problem = report.problem ?? (gpu === undefined ? null : problemOf(gpu))
  const details = { device: `cuda:${id}`, problem, missing: missingFrom(report) }
  if (problem !== null)
    throw new DeviceUnavailableError(`cuda:${id} cannot be used: ${problem}; ${whatToDo(report)}`, { details })
  if (gpu !== undefined) return { ...gpu, freeBytes: gpu.freeBytes ?? 0 }
  throw new DeviceUnavailableError(noSuchGpu(id, report), { details })
}

/** That there is no GPU of this number, and which there are. */
export function noSuchGpu(id: number, { gpus }: Pick<CudaReport, 'gpus'>): string {
  const visible = process.env['CUDA_VISIBLE_DEVICES']
  const shown = visible === undefined ? 'this machine has' : `of this machine's, CUDA_VISIBLE_DEVICES=${visible} shows`
  return `there is no cuda:${id}: ${shown} ${gpus.map(gpu => `cuda:${gpu.id}`).join(', ')}`
}

/**
 * The first GPU that spans can be computed on. Others before it are tried one after the other: CUDA keeps memory of each
 * that it was started on.
 *
 * @throws DeviceUnavailableError of the first, where there is none; RuntimeLoadError
 */
export async function firstCuda(libraryFolder?: string): Promise<UsableGpu> {
  const { gpus } = await inspectCuda(libraryFolder, () => false)
  const failures: DeviceUnavailableError[] = []
  for (const id of gpus.length === 0 ? [0] : gpus.map(gpu => gpu.id)) {
    try {
      return await requireCuda(id, libraryFolder)
    } catch (error) {
      if (!(error instanceof DeviceUnavailableError)) throw error
      failures.push(error)
    }
  }
  throw failures[0] ?? new RangeError('no GPU was tried')
}

/** Why a GPU is of no use, for people, with what that may come of: its generation, and what others have of its memory. */
export function problemOf({ name, computeCapability, freeBytes, totalBytes, problem }: AskedGpu): string | null {
  if (problem === null) return null
  const free = freeBytes === null ? 'unknown' : mebibytes(freeBytes)
  const what = `compute capability ${computeCapability.join('.')}, ${free} of ${mebibytes(totalBytes)} MiB free`
  return `${name} (${what}) computes nothing: ${problem}`
}

function mebibytes(bytes: number): string {
  return String(Math.floor(bytes / 2 ** 20))
}

/** Files that the provider lacks. */
export function missingFrom({ provider, libraries }: CudaReport): string[] {
  const missing = libraries.filter(({ path }) => path === null).map(({ name }) => name)
  return provider === null ? [providerName, ...missing] : missing
}

/** The one command that installs everything but the driver: ONNX Runtime with its provider, and of CUDA what that loads. */
export function installCommand(version: string): string {
  const packages = [`onnxruntime-gpu==${version}`, ...cudaPackages].map(each => `'${each}'`).join(' ')
  return `${pip} --target ~/.andthen/cuda ${packages}`
}

/** Why what `installCommand` gives would be of no use yet, for people: the driver is too old for it. */
export function tooOldToInstall({ driver }: CudaReport): string | null {
  return tooOld(driver.cudaVersion, '13')
}

function whatToDo(report: CudaReport): string {
  const missing = missingFrom(report)
  const driver = missing.includes(driverLibrary)
    ? [`install NVIDIA's driver, ${oldestDriver} or later, or start a container with its GPUs (docker run --gpus all)`]
    : []
  const rest = missing.some(name => name !== driverLibrary)
    ? ['andthen doctor gives the command that installs the rest']
    : ['andthen doctor says more']
  return [...driver, ...rest].join('; ')
}
