import { cp, mkdir, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { CancelledError } from '../../src/base/index.ts'
import { type Model, openModel, writeRandomModel } from '../../src/model/index.ts'
import { writeSafetensors } from '../../src/model/safetensors/write.ts'
import { convertModel } from './convert-model.ts'
import { temporaryFolder } from './temporary-folder.ts'

const fixtures = join(import.meta.dirname, '../fixtures/reference')
const shakespeare = join(import.meta.dirname, '../../models/tiny-shakespeare')
const sharded = join(fixtures, 'v5/llama-f16-sharded')

const shape = { blocks: 2, hiddenSize: 32, heads: 2, kvHeads: 1, mlpSize: 48, vocabSize: 40, maxLength: 64 }

async function randomModel(init: Partial<Parameters<typeof writeRandomModel>[1]> = {}): Promise<string> {
  const folder = await temporaryFolder()
  await writeRandomModel(folder, { ...shape, ...init })
  return folder
}

async function copyOf(folder: string): Promise<string> {
  const copy = await temporaryFolder()
  await cp(folder, copy, { recursive: true })
  return copy
}

/** Writes the model's tensors anew, as `change` gives them back, or without those for which it gives null. */
async function rewrite(
  model: Model,
  change: (tensor: {
    name: string
    dtype: string
    shape: readonly number[]
  }) => { dtype?: string; shape?: number[] } | null
): Promise<void> {
  const kept = [...model.tensors.values()].flatMap(tensor => {
    const changed = change(tensor)
    return changed === null ? [] : [{ ...tensor, ...changed }]
  })
  const sources = await Promise.all(
    kept.map(async ({ name, dtype, shape }) => {
      const bytes = await model.readTensor(name)
      return { name, dtype: dtype as 'F32', shape, bytes: () => bytes }
    })
  )
  await writeSafetensors(join(model.folder, 'model.safetensors'), sources)
}

const refusal = (code: string, message: RegExp) =>
  expect.objectContaining({ name: 'ModelFileError', code, message: expect.stringMatching(message) })

describe('openModel', () => {
  it('reads what a folder says about itself', async () => {
    const model = await openModel(shakespeare)
    expect(model.name).toBe('tiny-shakespeare')
    expect(model.spec).toMatchObject({ blocks: 12, hiddenSize: 128, vocabSize: 1024, maxLength: 512, tiedHead: true })
    expect(model.generation).toEqual({
      bosTokenId: 0,
      eosTokenIds: [1],
      sampling: { temperature: 0.8, topP: 0.95 }
    })
  })

  it('reads tensors where the shards keep them', async () => {
    const model = await openModel(sharded)
    const norm = await model.readTensor('model.norm.weight')
    const file = await readFile(join(sharded, 'model-00004-of-00005.safetensors'))
    expect(Buffer.from(norm)).toEqual(file.subarray(-128))
  })

  it('follows the links of a download cache', async () => {
    const folder = await randomModel()
    await mkdir(join(folder, 'blobs'))
    await rename(join(folder, 'model.safetensors'), join(folder, 'blobs/0a1b'))
    await symlink('blobs/0a1b', join(folder, 'model.safetensors'))
    const model = await openModel(folder)
    expect((await model.readTensor('model.norm.weight')).byteLength).toBe(32 * 4)
  })

  it.each<[string, (folder: string) => Promise<void>, string, RegExp]>([
    ['a folder that does not exist', folder => rm(folder, { recursive: true }), 'MODEL_NOT_FOUND', /does not exist/],
    [
      'a folder without config.json',
      folder => rm(join(folder, 'config.json')),
      'MODEL_NOT_FOUND',
      /has no config.json/
    ],
    [
      'a folder without weights',
      folder => rm(join(folder, 'model.safetensors')),
      'MODEL_NOT_FOUND',
      /model.safetensors does not exist/
    ],
    [
      'a folder in place of the weights',
      async folder => {
        await rm(join(folder, 'model.safetensors'))
        await mkdir(join(folder, 'model.safetensors'))
      },
      'MODEL_NOT_FOUND',
      /model.safetensors is no file/
    ],
    [
      'a folder in place of config.json',
      async folder => {
        await rm(join(folder, 'config.json'))
        await mkdir(join(folder, 'config.json'))
      },
      'MODEL_NOT_FOUND',
      /config.json cannot be read: it is a folder/
    ],
    [
      'config.json that is not JSON',
      folder => writeFile(join(folder, 'config.json'), '{'),
      'MODEL_CONFIG',
      /config.json is not JSON/
    ],
    [
      'weights cut short',
      folder => truncate(join(folder, 'model.safetensors'), 9000),
      'SAFETENSORS_TRUNCATED',
      /cut short/
    ],
    [
      'weights cut within the header',
      folder => truncate(join(folder, 'model.safetensors'), 100),
      'SAFETENSORS_TRUNCATED',
      /cut short/
    ],
    ['empty weights', folder => truncate(join(folder, 'model.safetensors'), 0), 'SAFETENSORS_TRUNCATED', /cut short/],
    [
      'weights that are something else',
      folder => writeFile(join(folder, 'model.safetensors'), 'x'.repeat(9999)),
      'SAFETENSORS_HEADER',
      /not safetensors/
    ]
  ])('refuses %s', async (_, damage, code, message) => {
    const folder = await randomModel()
    await damage(folder)
    await expect(openModel(folder)).rejects.toThrow(refusal(code, message))
  })

  const key = 'model.layers.1.self_attn.k_proj.weight'
  it.each<[string, (tensor: { name: string; shape: readonly number[] }) => object | null, string, RegExp]>([
    [
      'lacks a tensor',
      ({ name }) => (name === key ? null : {}),
      'MODEL_TENSOR_MISSING',
      /block 1 needs tensor .*1.self_attn.k_proj/
    ],
    [
      'has a tensor of another type',
      ({ name }) => (name === key ? { dtype: 'I32' } : {}),
      'SAFETENSORS_DTYPE',
      /model.safetensors: .*k_proj.* of block 1 .* as I32/
    ],
    [
      'has a tensor of another shape',
      ({ name }) => (name === key ? { shape: [32, 16] } : {}),
      'MODEL_TENSOR_SHAPE',
      /model.safetensors: .* of block 1 .*\[32, 16\].*\[16, 32\]/
    ],
    [
      'lacks the final norm',
      ({ name }) => (name === 'model.norm.weight' ? null : {}),
      'MODEL_TENSOR_MISSING',
      /the head needs/
    ],
    [
      'lacks an untied head',
      ({ name }) => (name === 'lm_head.weight' ? null : {}),
      'MODEL_TENSOR_MISSING',
      /the head needs tensor lm_head/
    ]
  ])('names the part of a model that %s', async (_, change, code, message) => {
    const folder = await randomModel()
    await rewrite(await openModel(folder), change)
    await expect(openModel(folder)).rejects.toThrow(refusal(code, message))
  })

  it.each<[string, (index: { weight_map: Record<string, string> }) => void, string, RegExp]>([
    [
      'a shard outside of the folder',
      index => {
        index.weight_map['lm_head.weight'] = '../x.safetensors'
      },
      'MODEL_CONFIG',
      /not a file name/
    ],
    [
      'a shard that is not there',
      index => {
        index.weight_map['lm_head.weight'] = 'y.safetensors'
      },
      'MODEL_NOT_FOUND',
      /y.safetensors does not exist/
    ],
    [
      'a tensor that its shard lacks',
      index => {
        index.weight_map['extra'] = 'model-00001-of-00005.safetensors'
      },
      'MODEL_TENSOR_MISSING',
      /00001.* lacks tensor "extra"/
    ]
  ])('refuses an index that names %s', async (_, change, code, message) => {
    const folder = await copyOf(sharded)
    const path = join(folder, 'model.safetensors.index.json')
    const index = JSON.parse(await readFile(path, 'utf8')) as { weight_map: Record<string, string> }
    change(index)
    await writeFile(path, JSON.stringify(index))
    await expect(openModel(folder)).rejects.toThrow(refusal(code, message))
  })

  it('stops when it is told to', async () => {
    await expect(openModel(shakespeare, { signal: AbortSignal.abort() })).rejects.toThrow(CancelledError)
  })
})

describe('digests', () => {
  const hex = async (digest: Promise<Uint8Array>) => Buffer.from(await digest).toString('hex')

  it('do not depend on where and in how many files a model lies', async () => {
    const whole = await temporaryFolder()
    const model = await openModel(sharded)
    await cp(join(sharded, 'config.json'), join(whole, 'config.json'))
    const sources = [...model.tensors.values()].map(({ name, shape }) => {
      return { name, shape, dtype: 'F16' as const, bytes: () => model.readTensor(name) }
    })
    await writeSafetensors(join(whole, 'model.safetensors'), sources.reverse())
    const other = await openModel(whole)
    expect(await hex(other.digest())).toBe(await hex(model.digest()))
    expect(await hex(other.blockDigest(1))).toBe(await hex(model.blockDigest(1)))
  })

  it("are the same for transformers 4's and 5's form of one model", async () => {
    const [four, five] = await Promise.all(
      ['v4', 'v5'].map(form => openModel(join(fixtures, form, 'llama-llama3-rope')))
    )
    expect(await hex(four!.digest())).toBe(await hex(five!.digest()))
  })

  it('differ between copies in different types', async () => {
    const digests = [await hex((await openModel(shakespeare)).digest())]
    for (const dtype of ['F32', 'F16'] as const) {
      const folder = await temporaryFolder()
      await convertModel(shakespeare, folder, dtype)
      digests.push(await hex((await openModel(folder)).digest()))
    }
    expect(new Set(digests).size).toBe(3)
  })

  it('differ between models of one shape', async () => {
    const [one, other] = await Promise.all(
      [randomModel({ seed: 1 }), randomModel({ seed: 2 })].map(async f => openModel(await f))
    )
    expect(await hex(one!.digest())).not.toBe(await hex(other!.digest()))
    expect(await hex(one!.blockDigest(0))).not.toBe(await hex(other!.blockDigest(0)))
    expect(await hex(one!.blockDigest(0))).not.toBe(await hex(one!.blockDigest(1)))
  })
})
