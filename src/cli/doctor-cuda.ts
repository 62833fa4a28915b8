import type { Logger } from '../base/index.ts'
import type { ServeOptions } from '../node/index.ts'
import {
  type CudaReport,
  inspectCuda,
  installCommand,
  missingFrom,
  oldestDriver,
  problemOf,
  tooOldToInstall
} from '../runtime/index.ts'
import type { Blame } from './blame.ts'
import { checkModel, type Finding, type ModelLoad } from './doctor-checks.ts'
import { bytes } from './serve-ready.ts'

/** What the lines are about that are about several of its libraries. */
const searched = 'CUDA libraries'

/**
 * What there is of CUDA and what is missing, a line a part, and how many of the model's blocks each GPU holds.
 *
 * @param libraryFolder - of `--onnxruntime`
 */
export async function checkCuda(load: ModelLoad, logger: Logger, blame: Blame): Promise<Finding[]> {
  try {
    const report = await inspectCuda(load.onnxruntime)
    logger.debug({ report }, 'CUDA')
    return [...describeCuda(report), ...(report.problem === null ? await blocksOn(report, load, blame) : [])]
  } catch (error) {
    return [{ about: 'CUDA', state: 'note', says: blame(error).message }]
  }
}

/** Without a GPU everything else works: what is missing is a note. */
export function describeCuda(report: CudaReport): Finding[] {
  const { provider, libraries, folders, cudnn, cudaVersion, gpus, runtime } = report
  const missing = missingFrom(report)
  const found = (about: string, says: string): Finding => ({ about, state: 'ok', says })
  const note = (about: string, says: string): Finding => ({ about, state: 'note', says })
  const installs = missing.some(name => name !== driverLibrary)
  const tooOld = installs ? tooOldToInstall(report) : null
  return [
    describeDriver(report),
    ...gpus.map(gpu => {
      const { id, name, computeCapability, totalBytes, freeBytes } = gpu
      const memory = `${freeBytes === null ? 'unknown' : bytes(freeBytes)} free of ${bytes(totalBytes)}`
      const wrong = problemOf(gpu)
      if (wrong !== null) return note(`cuda:${id}`, wrong)
      return found(`cuda:${id}`, `${name}, compute capability ${computeCapability.join('.')}, ${memory}`)
    }),
    provider === null
      ? note('CUDA provider', `none beside ${runtime.library}`)
      : found('CUDA provider', `${provider}${cudaVersion === null ? '' : `, with CUDA ${cudaVersion}`}`),
    ...libraries.map(({ name, path, problem: why }) => {
      return path === null ? note(name, why ?? 'not found') : found(name, path)
    }),
    ...(provider === null ? [] : [describeCudnn(cudnn)]),
    ...(missing.length > 0 ? [note(searched, `looked for in ${folders.join(', ')}, and by the system's loader`)] : []),
    describeUse(report),
    ...(installs
      ? [
          ...(tooOld === null ? [] : [note(searched, `before what follows is of use: ${tooOld}`)]),
          note(searched, `all but the driver is installed by: ${installCommand(runtime.version)}`),
          note(searched, 'and used with: --onnxruntime ~/.andthen/cuda')
        ]
      : [])
  ]
}

const driverLibrary = 'libcuda.so.1'

function describeDriver({ driver: { version, cudaVersion }, libraries }: CudaReport): Finding {
  const about = 'NVIDIA driver'
  const release = version ?? 'of unknown version'
  if (cudaVersion !== null) return { about, state: 'ok', says: `${release}, runs CUDA up to ${cudaVersion}` }
  const container = 'a container is given it as it is started (docker run --gpus all)'
  if (libraries.some(({ name, path }) => name === driverLibrary && path !== null))
    return { about, state: 'note', says: `${release}, and does not start` }
  if (version !== null)
    return { about, state: 'note', says: `${release}, without its ${driverLibrary}: install that, too; ${container}` }
  return {
    about,
    state: 'note',
    says: `none: where there is a GPU, install it, ${oldestDriver} or later; ${container}`
  }
}

function describeUse({ problem, gpus }: CudaReport): Finding {
  const about = 'CUDA'
  const first = gpus.find(gpu => gpu.problem === null)
  if (problem !== null) return { about, state: 'note', says: `cannot be used: ${problem}` }
  if (first === undefined) return { about, state: 'note', says: 'cannot be used: no GPU here computes' }
  return { about, state: 'ok', says: `can be used, a trial says: serve --device cuda:${first.id}, which auto takes` }
}

function describeCudnn({ name, path, version }: CudaReport['cudnn']): Finding {
  if (path === null) return { about: name, state: 'note', says: 'not found; spans do without' }
  return { about: name, state: 'ok', says: `${path}, cuDNN ${version ?? 'of unknown version'}; spans do without` }
}

async function blocksOn(report: CudaReport, load: ModelLoad, blame: Blame): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const where of placesFor(report)) {
    const finding = await checkModel({ ...load, ...where }, blame)
    // The processor serves all the same.
    findings.push(finding.state === 'missing' ? { ...finding, state: 'note' } : finding)
  }
  return findings
}

/** GPUs that compute, with what was free of their memory before they were tried out: what that took, this process keeps. */
export function placesFor({ gpus }: CudaReport): Pick<Required<ServeOptions>, 'device' | 'memory'>[] {
  return gpus.flatMap(({ id, problem, freeBytes }) => {
    return problem === null && freeBytes !== null ? [{ device: `cuda:${id}` as const, memory: freeBytes }] : []
  })
}
