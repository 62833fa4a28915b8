import { expect, test } from 'vitest'
import { hostAsDevice } from '../../src/runtime/c-api/index.ts'
import { hostDevice } from '../../src/runtime/index.ts'
import { tryDevice } from '../../src/runtime/trial.ts'

test.each([hostDevice, hostAsDevice(), hostAsDevice(true)])('a device that computes passes: %#', async device => {
  await expect(tryDevice(device)).resolves.toBeUndefined()
})

test('one that does not start is told, in its own words', async () => {
  const none = {
    ...hostAsDevice(),
    memory: { resident: { name: 'Cuda', id: 0 }, crossing: { name: 'CudaPinned', id: 0 } }
  }
  await expect(tryDevice(none)).rejects.toMatchObject({ code: 'RUNTIME_LOAD' })
})
