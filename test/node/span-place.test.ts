import { expect, test } from 'vitest'
import { UsageError } from '../../src/base/index.ts'
import { openModel } from '../../src/model/index.ts'
import { spanPlace } from '../../src/node/span-place.ts'

const model = await openModel('models/tiny-shakespeare')

test.each(['auto', 'f32'] as const)('on the processor weights %s are float32', async weights => {
  expect(await spanPlace(model, { model: '', device: 'cpu', weights })).toMatchObject({
    device: { name: 'cpu' },
    gpu: null,
    compute: 'f32'
  })
})

test('float32 where any device would do is the processor', async () => {
  expect(await spanPlace(model, { model: '', weights: 'f32' })).toMatchObject({
    device: { name: 'cpu' },
    compute: 'f32'
  })
})

test.each([
  { device: 'cpu', weights: 'f16', says: '--weights f16 is for --device cuda' },
  { device: 'cpu', weights: 'bf16', says: '--weights bf16 is for --device cuda' },
  { device: 'cuda:0', weights: 'f32', says: '--weights f32 is for the CPU' }
] as const)('$device does not compute in $weights', async ({ device, weights, says }) => {
  const placing = spanPlace(model, { model: '', device, weights })
  await expect(placing).rejects.toThrow(UsageError)
  await expect(placing).rejects.toThrow(says)
})
