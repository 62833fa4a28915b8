import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openModel, type RandomModelInit, writeRandomModel } from '../../src/model/index.ts'
import { temporaryFolder } from './temporary-folder.ts'

const shape: RandomModelInit = {
  blocks: 3,
  hiddenSize: 32,
  heads: 4,
  kvHeads: 2,
  mlpSize: 48,
  vocabSize: 40,
  maxLength: 64
}

async function write(init: Partial<RandomModelInit> = {}): Promise<string> {
  const folder = await temporaryFolder()
  await writeRandomModel(folder, { ...shape, ...init })
  return folder
}

const weights = (folder: string) => readFile(join(folder, 'model.safetensors'))

it('writes the same weights for the same seed, others for another', async () => {
  const [one, again, other] = await Promise.all(
    [write(), write(), write({ seed: 2 })].map(async folder => weights(await folder))
  )
  expect(one!.equals(again!)).toBe(true)
  expect(one!.equals(other!)).toBe(false)
})

it('writes no two tensors alike, so that none are kept as one', async () => {
  const model = await openModel(await write())
  const tensors = await Promise.all([...model.tensors.keys()].map(name => model.readTensor(name)))
  expect(new Set(tensors.map(bytes => Buffer.from(bytes).toString('hex'))).size).toBe(tensors.length)
})

it.each([
  ['F32', 4],
  ['F16', 2],
  ['BF16', 2]
] as const)('writes a whole model in %s', async (dtype, bytes) => {
  const model = await openModel(await write({ dtype, bias: true, tiedHead: true, headDim: 16 }))
  expect(model.spec).toMatchObject({ blocks: 3, tiedHead: true, attention: { headDim: 16, outputBias: true } })
  for (const tensor of model.tensors.values()) {
    expect(tensor.byteLength).toBe(bytes * tensor.shape.reduce((product, size) => product * size, 1))
  }
})
