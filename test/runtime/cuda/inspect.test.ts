import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkVersion } from '../../../src/runtime/c-api/library.ts'
import { inspectCuda, tooOld } from '../../../src/runtime/cuda/inspect.ts'
import { providerOptions } from '../../../src/runtime/cuda/options.ts'
import { installCommand, missingFrom, problemOf } from '../../../src/runtime/cuda/require.ts'
import { chooseDevice, hostDevice } from '../../../src/runtime/index.ts'

const report = await inspectCuda()

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
    ['that is not there', 'none', 'cannot be read'],
    ['without the library', '', 'no ONNX Runtime library'],
    ['with something else by its name', 'broken', 'does not load from']
  ])('%s is an error, also where any device would do', async (_, name, says) => {
    await expect(chooseDevice({ device: 'auto', libraryFolder: join(folder, name) })).rejects.toMatchObject({
      code: 'RUNTIME_LOAD',
      message: expect.stringContaining(says) as string
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

test.each([
  ['12.4', '13.0', true],
  ['13.0', '13.5', false],
  ['13.1', '12.9', false],
  [null, '13.0', false]
])('a driver for CUDA %s is too old for %s: %s', (driver, runtime, expected) => {
  expect(tooOld(driver, runtime) !== null).toBe(expected)
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

test('a GPU that computes nothing is told by its name, with its compute capability', () => {
  const gpu = { id: 0, name: 'NVIDIA B200', computeCapability: [10, 0], totalBytes: 1, freeBytes: 1 } as const
  expect(problemOf({ ...gpu, problem: null })).toBeNull()
  expect(problemOf({ ...gpu, problem: 'no kernel image is available' })).toBe(
    'NVIDIA B200, of compute capability 10.0, computes nothing: no kernel image is available'
  )
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
