import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { askDriver, driverVersion, tooOld, versionText } from '../../../src/runtime/cuda/driver.ts'

type Handle = Parameters<typeof askDriver>[0]
type Native = (...args: never[]) => number

const gib = 2 ** 30
const success = 0

/** A driver with one device, whose functions are called by their C prototypes as the real one's are. */
function library(changes: Record<string, Native> = {}): { handle: Handle; calls: string[] } {
  const calls: string[] = []
  const out = (value: unknown) => (place: [unknown]) => {
    place[0] = value
    return success
  }
  const functions: Record<string, Native> = {
    cuInit: () => success,
    cuGetErrorString: (status: number, text: [string]) => {
      text[0] = status === 100 ? 'no CUDA-capable device is detected' : `error ${status}`
      return success
    },
    cuDriverGetVersion: out(13_000),
    cuDeviceGetCount: out(1),
    cuDeviceGet: out(7),
    cuDeviceGetName: (name: Buffer) => {
      name.write('NVIDIA H100\0')
      return success
    },
    cuDeviceTotalMem_v2: out(80 * gib),
    cuDeviceGetAttribute: (place: [number], which: number, device: number) => {
      expect(device).toBe(7)
      place[0] = which === 75 ? 9 : 0
      return success
    },
    cuDevicePrimaryCtxRetain: out(16n),
    cuDevicePrimaryCtxRelease_v2: () => success,
    cuCtxPushCurrent_v2: () => success,
    cuCtxPopCurrent_v2: out(16n),
    cuMemGetInfo_v2: (free: [number], total: [number]) => {
      free[0] = 70 * gib
      total[0] = 80 * gib
      return success
    },
    ...changes
  }
  const func = (prototype: string): Native => {
    const name = /^int (\w+)\(/.exec(prototype)?.[1] ?? prototype
    return (...args) => {
      calls.push(name)
      return functions[name]!(...args)
    }
  }
  return { handle: { func } as unknown as Handle, calls }
}

describe('the NVIDIA driver', () => {
  test('says what devices it has, by their numbers', () => {
    const { cudaVersion, gpus } = askDriver(library().handle)
    expect(cudaVersion).toBe('13.0')
    expect(gpus).toEqual([{ id: 0, name: 'NVIDIA H100', computeCapability: [9, 0], totalBytes: 80 * gib }])
  })

  test('says how much of their memory is free, and lets go of the device', () => {
    const { handle, calls } = library()
    expect(askDriver(handle).freeBytes(0)).toBe(70 * gib)
    expect(calls.slice(-2)).toEqual(['cuCtxPopCurrent_v2', 'cuDevicePrimaryCtxRelease_v2'])
  })

  test('lets go of the device also where its memory cannot be asked for', () => {
    const { handle, calls } = library({ cuMemGetInfo_v2: () => 2 })
    expect(() => askDriver(handle).freeBytes(0)).toThrowError(expect.objectContaining({ code: 'DEVICE_UNAVAILABLE' }))
    expect(calls).toEqual(expect.arrayContaining(['cuCtxPopCurrent_v2', 'cuDevicePrimaryCtxRelease_v2']))
  })

  test.each([
    [3, 'the NVIDIA driver says: error 3 (cuInit, 3)', /\)$/],
    [34, 'the NVIDIA driver says: error 34 (cuInit, 34): ', /stub/],
    [100, 'the NVIDIA driver says: no CUDA-capable device is detected (cuInit, 100): ', /nvidia-smi.*--gpus all/],
    [802, 'the NVIDIA driver says: error 802 (cuInit, 802): ', /nvidia-fabricmanager/],
    [803, 'the NVIDIA driver says: error 803 (cuInit, 803): ', /restart the machine/],
    [804, 'the NVIDIA driver says: error 804 (cuInit, 804): ', /cuda-compat/],
    [999, 'the NVIDIA driver says: error 999 (cuInit, 999): ', /nvidia-modprobe/]
  ])(
    'that does not start, by its error %d, says so in its own words, and what is known to help',
    (status, says, help) => {
      const { handle } = library({ cuInit: () => status })
      const message = expect.stringMatching(help) as string
      expect(() => askDriver(handle)).toThrowError(expect.objectContaining({ code: 'DEVICE_UNAVAILABLE', message }))
      expect(() => askDriver(handle)).toThrowError(says)
    }
  )
})

test.each([
  [13_000, '13.0'],
  [12_090, '12.9'],
  [11_080, '11.8']
])('CUDA writes its version %d for %s', (version, text) => {
  expect(versionText(version)).toBe(text)
})

test.each([
  ['12.4', '13.0', /built for 13\.0: update the driver to 580 or later$/],
  ['12.4', '13', /built for 13: update the driver to 580 or later$/],
  ['11.8', '12.9', /update the driver to 525 or later$/],
  ['13.0', '14', /built for 14: update the driver$/],
  ['13.0', '13.5', null],
  ['13.1', '12.9', null],
  [null, '13.0', null],
  ['12.4', null, null]
])('a driver for CUDA %s and what is built for %s: %s', (driver, built, expected) => {
  const problem = tooOld(driver, built)
  if (expected === null) expect(problem).toBeNull()
  else expect(problem).toMatch(expected)
})

describe("the driver's own version", () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'andthen-driver-'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  test.each([
    ['NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024', '550.54.15'],
    ['NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build', '580.95.05'],
    ['something else', null]
  ])('is read from %s', async (text, version) => {
    const file = join(folder, 'version')
    await writeFile(file, `${text}\nGCC version:  gcc version 12.3.0\n`)
    expect(await driverVersion(file)).toBe(version)
  })

  test('is unknown without a driver', async () => {
    expect(await driverVersion(join(folder, 'none'))).toBeNull()
  })
})
