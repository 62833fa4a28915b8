import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { checkVersion } from '../../../src/runtime/c-api/library.ts'
import { inspectCuda, providerProblem } from '../../../src/runtime/cuda/inspect.ts'
import { providerOptions } from '../../../src/runtime/cuda/options.ts'
import {
  installCommand,
  missingFrom,
  noSuchGpu,
  problemOf,
  tooOldToInstall
} from '../../../src/runtime/cuda/require.ts'
import { chooseDevice, hostDevice } from '../../../src/runtime/index.ts'

const report = await inspectCuda()

afterEach(() => vi.unstubAllEnvs())

describe('this machine', () => {
  test('either can use CUDA, or says what is missing', () => {
    expect(report.runtime.version).toMatch(/^1\.\d+\.\d+$/)
    expect(report.libraries.map(({ name }) => name)).toContain('libcuda.so.1')
    if (report.problem === null) expect(report.gpus.length).toBeGreaterThan(0)
    else expect(report.problem).not.toBe('')
  })

  test.runIf(report.problem !== null)(
    'computes on the processor where nobody said otherwise, and says why',
    async () => {
      const { device, reason, gpu } = await chooseDevice({ device: 'auto' })
      expect({ device, gpu }).toEqual({ device: hostDevice, gpu: null })
      expect(reason).toBe(`no CUDA: ${report.problem}`)
    }
  )

  test('refuses a GPU that it does not have, and says what to do', async () => {
    await expect(chooseDevice({ device: 'cuda:99' })).rejects.toMatchObject({
      code: 'DEVICE_UNAVAILABLE',
      message: expect.stringContaining('cuda:99') as string,
      details: { device: 'cuda:99', missing: missingFrom(report) }
    })
  })

  test.runIf(missingFrom(report).includes('libcuda.so.1'))(
    'without a driver says how to get one, in a container too',
    async () => {
      await expect(chooseDevice({ device: 'cuda' })).rejects.toThrow(
        /^cuda:0 cannot be used: no NVIDIA driver is installed .*; install NVIDIA's driver, 580 or later, or start a container with its GPUs/
      )
    }
  )

  test('computes on the processor when told to, without a look for a GPU', async () => {
    expect(await chooseDevice({ device: 'cpu', libraryFolder: '/nowhere' })).toMatchObject({
      device: hostDevice,
      gpu: null
    })
  })
})

describe('a folder that is named', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'andthen-onnxruntime-'))
    await mkdir(join(folder, 'broken'))
    await writeFile(join(folder, 'broken', 'libonnxruntime.so.1'), 'not a library')
  })
  afterAll(() => rm(folder, { recursive: true }))

  test.each([
    ['that is not there', 'none', 'cannot be read: there is none'],
    ['without the library', '', 'no ONNX Runtime library, such as libonnxruntime.'],
    ['with something else by its name', 'broken', 'does not load from']
  ])('%s is an error, also where any device would do', async (_, name, says) => {
    await expect(chooseDevice({ device: 'auto', libraryFolder: join(folder, name) })).rejects.toMatchObject({
      code: 'RUNTIME_LOAD',
      message: expect.stringContaining(says) as string,
      details: { library: expect.stringContaining(join(folder, name)) as string }
    })
  })

  test('of another release than the one that graphs are tried with is refused, with what to take', () => {
    const [major, minor] = report.runtime.version.split('.').map(Number)
    expect(() => checkVersion(`${major}.${minor! - 1}.0`, '/ort/lib.so')).toThrowError(
      expect.objectContaining({ code: 'RUNTIME_LOAD', message: expect.stringContaining('such as 1.') as string })
    )
    checkVersion(`${major}.${minor}.9`, '/ort/lib.so')
  })
})

test('what is missing but the driver, one command installs: the release that graphs are tried with, whichever Python runs it', () => {
  const command = installCommand('1.30.0')
  expect(command).toContain(" 'onnxruntime-gpu==1.30.0' ")
  expect(command).toContain('--python-version 3.12 --target ~/.andthen/cuda ')
  for (const needed of ['cublas', 'cuda-runtime', 'curand']) expect(command).toContain(` 'nvidia-${needed}~=1`)
})

test('operators find that command in the documentation', async () => {
  const operations = await readFile(join(import.meta.dirname, '../../../docs/OPERATIONS.md'), 'utf8')
  const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string }
  expect(operations.replace(/ \\\n +/g, ' ')).toContain(installCommand(version))
})

describe('a provider', () => {
  const runtime = { version: '1.30.0', library: '/ort/libonnxruntime.so.1.30.0' }
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'andthen-provider-'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  const provider = async (text: string): Promise<string> => {
    const file = join(folder, 'libonnxruntime_providers_cuda.so')
    await writeFile(file, text, 'latin1')
    return file
  }

  test('that is not beside ONNX Runtime is told by its name', async () => {
    expect(await providerProblem(null, runtime)).toBe(
      'libonnxruntime_providers_cuda.so is not in /ort, beside ONNX Runtime'
    )
  })

  test("of another release than ONNX Runtime's is not loaded, which would crash the process", async () => {
    const file = await provider('ELF\0cudaSetDevice\x001.27.0\0')
    expect(await providerProblem(file, runtime)).toBe(
      `${file} is of ONNX Runtime 1.27.0, and the library beside it of 1.30.0: take both from one release`
    )
  })

  test('that was copied in part is not loaded, which would crash the process', async () => {
    // A 64-bit ELF file whose program headers would be behind its end.
    const header = Buffer.alloc(64)
    header.write('\x7fELF\x02\x01', 'latin1')
    header.writeBigUInt64LE(64n, 32)
    header.writeUInt16LE(56, 54)
    header.writeUInt16LE(1, 56)
    expect(await providerProblem(await provider(header.toString('latin1')), runtime)).toContain('is cut off')
  })

  test.each(['ELF\x001.30.0\0', 'ELF\x001.2.3\x001.30.0\0', 'of no release'])('is loaded: %j', async text => {
    expect(await providerProblem(await provider(text), runtime)).toBeNull()
  })
})

test('a GPU that is not there is told with those that are, and what hides others', () => {
  const gpu = { name: 'GPU', computeCapability: [9, 0], totalBytes: 1, freeBytes: 1, problem: null } as const
  const gpus = [
    { ...gpu, id: 0 },
    { ...gpu, id: 1 }
  ]
  vi.stubEnv('CUDA_VISIBLE_DEVICES', undefined)
  expect(noSuchGpu(9, { gpus })).toBe('there is no cuda:9: this machine has cuda:0, cuda:1')
  vi.stubEnv('CUDA_VISIBLE_DEVICES', '4,6')
  expect(noSuchGpu(9, { gpus })).toContain('CUDA_VISIBLE_DEVICES=4,6 shows cuda:0, cuda:1')
})

test('a driver that is too old for what is installed says so before it is', () => {
  const withDriver = (cudaVersion: string | null) => ({ ...report, driver: { version: null, cudaVersion } })
  expect(tooOldToInstall(withDriver('12.8'))).toContain('update the driver to 580 or later')
  expect(tooOldToInstall(withDriver('13.0'))).toBeNull()
  expect(tooOldToInstall(withDriver(null))).toBeNull()
})

test('a GPU that computes nothing is told by its name, with its compute capability and what is free of its memory', () => {
  const memory = { totalBytes: 80 * 2 ** 30, freeBytes: 100 * 2 ** 20 }
  const gpu = { id: 0, name: 'NVIDIA B200', computeCapability: [10, 0], ...memory } as const
  expect(problemOf({ ...gpu, problem: null })).toBeNull()
  expect(problemOf({ ...gpu, problem: 'no kernel image is available' })).toBe(
    'NVIDIA B200 (compute capability 10.0, 100 of 81920 MiB free) computes nothing: no kernel image is available'
  )
  expect(problemOf({ ...gpu, freeBytes: null, problem: 'it is busy' })).toContain('unknown of 81920 MiB free')
})

describe('options of the provider', () => {
  test('leave the memory to the device, and take of it what is asked for', () => {
    expect(providerOptions(1, {})).toMatchObject({
      device_id: '1',
      arena_extend_strategy: 'kSameAsRequested',
      enable_cuda_graph: '0'
    })
    expect(providerOptions(1, {})).not.toHaveProperty('gpu_mem_limit')
  })

  test('take the same attention whether or not cuDNN is there', () => {
    const [flash, efficient, cudnn, math] = [1, 2, 8, 16]
    const kernels = Number(providerOptions(0, {})['sdpa_kernel'])
    expect(kernels & cudnn).toBe(0)
    expect(kernels & (flash | efficient | math)).toBe(flash | efficient | math)
  })

  test('are what flags say', () => {
    expect(providerOptions(0, { memoryLimit: 2 ** 30, arena: 'doubling', graph: true })).toMatchObject({
      device_id: '0',
      arena_extend_strategy: 'kNextPowerOfTwo',
      enable_cuda_graph: '1',
      gpu_mem_limit: '1073741824'
    })
  })
})
