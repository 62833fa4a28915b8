import { type Logger, toAndthenError } from '../base/index.ts'
import { type CudaReport, inspectCuda, installCommand, missingFrom } from '../runtime/index.ts'
import { checkModel, type Finding, type ModelLoad } from './doctor-checks.ts'
import { bytes } from './serve-ready.ts'

/**
 * What there is of CUDA and what is missing, a line a part, and how many of the model's blocks each GPU holds.
 *
 * @param libraryFolder - of `--onnxruntime`
 */
export async function checkCuda(load: ModelLoad, logger: Logger): Promise<Finding[]> {
  try {
    const report = await inspectCuda(load.onnxruntime)
    logger.debug({ report }, 'CUDA')
    return [...describeCuda(report), ...(report.problem === null ? await blocksOn(report, load) : [])]
  } catch (error) {
    return [{ about: 'CUDA', state: 'note', says: toAndthenError(error).message }]
  }
}

/** Without a GPU everything else works: what is missing is a note. */
export function describeCuda(report: CudaReport): Finding[] {
  const { provider, libraries, folders, cudnn, cudaVersion, driver, gpus, problem, runtime } = report
  const missing = missingFrom(report)
  const found = (about: string, says: string): Finding => ({ about, state: 'ok', says })
  const note = (about: string, says: string): Finding => ({ about, state: 'note', says })
  const runs = driver.cudaVersion === null ? '' : `, runs CUDA up to ${driver.cudaVersion}`
  return [
    driver.version === null && driver.cudaVersion === null
      ? note('NVIDIA driver', 'none')
      : found('NVIDIA driver', `${driver.version ?? 'of unknown version'}${runs}`),
    ...gpus.map(({ id, name, computeCapability, totalBytes, freeBytes }) => {
      const memory = `${freeBytes === null ? 'unknown' : bytes(freeBytes)} free of ${bytes(totalBytes)}`
      return found(`cuda:${id}`, `${name}, compute capability ${computeCapability.join('.')}, ${memory}`)
    }),
    provider === null
      ? note('CUDA provider', `none beside ${runtime.library}`)
      : found('CUDA provider', `${provider}${cudaVersion === null ? '' : `, with CUDA ${cudaVersion}`}`),
    ...libraries.map(({ name, path, problem: why }) => {
      return path === null ? note(name, why ?? 'not found') : found(name, path)
    }),
    ...(provider === null ? [] : [describeCudnn(cudnn)]),
    ...(missing.length > 0 ? [note('', `looked for in ${folders.join(', ')}, and by the system's loader`)] : []),
    problem === null
      ? found('CUDA', 'can be used: serve --device cuda, which auto takes')
      : note('CUDA', `cannot be used: ${problem}`),
    ...(missing.some(name => name !== 'libcuda.so.1')
      ? [
          note('', `all but the driver is installed by: ${installCommand(runtime.version)}`),
          note('', 'and used with: --onnxruntime ~/.andthen/cuda')
        ]
      : [])
  ]
}

function describeCudnn({ name, path, version }: CudaReport['cudnn']): Finding {
  if (path === null) return { about: name, state: 'note', says: 'not found; spans do without' }
  return { about: name, state: 'ok', says: `${path}, cuDNN ${version ?? 'of unknown version'}` }
}

async function blocksOn({ gpus }: CudaReport, load: ModelLoad): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const { id } of gpus) findings.push(await checkModel({ ...load, device: `cuda:${id}` }))
  return findings
}
