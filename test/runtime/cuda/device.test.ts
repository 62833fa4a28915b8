import { afterEach, expect, test, vi } from 'vitest'
import { cudaDevice } from '../../../src/runtime/cuda/device.ts'

afterEach(() => vi.unstubAllEnvs())

test('decodes on a GPU do not take XQA', () => {
  vi.stubEnv('ORT_ENABLE_XQA', undefined)
  cudaDevice(0)
  expect(process.env['ORT_ENABLE_XQA']).toBe('0')
})

test('decodes on a GPU take XQA where the environment says so', () => {
  vi.stubEnv('ORT_ENABLE_XQA', '1')
  cudaDevice(0)
  expect(process.env['ORT_ENABLE_XQA']).toBe('1')
})
