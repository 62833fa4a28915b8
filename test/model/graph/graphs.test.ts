import { mkdir, readFile, rename, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  buildEmbedGraph,
  buildHeadGraph,
  buildSpanGraph,
  kvBytesPerToken,
  type Model,
  openModel,
  type RandomModelInit,
  spanBytes,
  writeRandomModel
} from '../../../src/model/index.ts'
import { convertModel } from '../convert-model.ts'
import { largestDifference, ReferenceRunner } from '../reference-runner.ts'
import { temporaryFolder } from '../temporary-folder.ts'

const shakespeare = join(import.meta.dirname, '../../../models/tiny-shakespeare')

const shape: RandomModelInit = {
  blocks: 2,
  hiddenSize: 64,
  heads: 4,
  kvHeads: 2,
  mlpSize: 96,
  vocabSize: 80,
  maxLength: 64
}

const prompt = [5, 17, 3, 60, 2, 2, 71]

async function randomModel(init: Partial<RandomModelInit> = {}) {
  const folder = await temporaryFolder()
  await writeRandomModel(folder, { ...shape, ...init })
  return openModel(folder)
}

/** Blocks whose query, key and value are one product. */
function packedProducts(model: Model): number {
  const { bytes } = buildSpanGraph(model, { from: 0, to: 2 }, { maxLength: 64 })
  const nodes = Buffer.from(bytes)
    .toString('latin1')
    .matchAll(/blocks\.(\d)\.query_key_value\.product/g)
  return new Set(Array.from(nodes, match => match[1])).size
}

/** A node's op_type in a serialized graph (NodeProto's field 4): ONNX Runtime computes what follows from a shape on the host. */
const shapeOperators = /"\x05Shape|"\x04Size/

/** Sorts as Hugging Face does, but query, key and value one after another, weights before biases. */
function sideBySide(name: string): string {
  const renamed = name.replace('q_proj', 'a_proj').replace('k_proj', 'b_proj').replace('v_proj', 'c_proj')
  return renamed.endsWith('.bias') ? `~${renamed}` : renamed
}

describe('buildSpanGraph', () => {
  it.each<[Partial<RandomModelInit>]>([
    [{ bias: false, kvHeads: 2 }],
    [{ bias: true, kvHeads: 2 }],
    [{ bias: true, kvHeads: 4 }],
    [{ bias: true, kvHeads: 1, headDim: 24 }],
    [{ bias: false, kvHeads: 1, headDim: 32 }]
  ])('computes the same whether query, key and value lie side by side or apart: %j', async init => {
    const apart = await randomModel(init)
    const folder = await temporaryFolder()
    await convertModel(apart.folder, folder, 'F32', (a, b) => (sideBySide(a) < sideBySide(b) ? -1 : 1))
    const together = await openModel(folder)
    expect(packedProducts(apart)).toBe(0)
    expect(packedProducts(together)).toBe((init.headDim ?? 16) % 16 === 0 ? 2 : 0)
    const [one, other] = await Promise.all([apart, together].map(model => ReferenceRunner.create(model, [])))
    expect(largestDifference((await one!.run(prompt)).logits, (await other!.run(prompt)).logits)).toBeLessThan(1e-5)
  })

  it.each([[16], [24]])('gives each row of a batch what it gives alone, heads of %d', async headDim => {
    const model = await randomModel({ headDim })
    const prompts = [prompt, prompt.slice(0, 3), [9]]
    const alone = await Promise.all(
      prompts.map(async ids => {
        const runner = await ReferenceRunner.create(model, [])
        await runner.run(ids)
        return (await runner.run([7])).hidden[0]!
      })
    )
    const batched = await ReferenceRunner.decodeBatch(model, prompts, 7)
    for (const [row, expected] of alone.entries()) {
      expect(largestDifference(batched[row]!, expected), `row ${row}`).toBeLessThan(1e-5)
    }
  })

  it('lets a full row take part in a batch without disturbing the others', async () => {
    const model = await randomModel()
    const full = Array.from({ length: shape.maxLength }, (_, i) => i % shape.vocabSize)
    const [alone] = await ReferenceRunner.decodeBatch(model, [prompt], 7)
    const [, beside] = await ReferenceRunner.decodeBatch(model, [full, prompt], 7)
    expect(largestDifference(beside!, alone!)).toBeLessThan(1e-5)
  })

  it('computes a prompt in chunks as it does whole', async () => {
    const model = await randomModel()
    const [whole, chunked] = [await ReferenceRunner.create(model, []), await ReferenceRunner.create(model, [])]
    await chunked.run(prompt.slice(0, 4))
    const { logits } = await chunked.run(prompt.slice(4))
    expect(largestDifference(logits, (await whole.run(prompt)).logits)).toBeLessThan(1e-4)
  })

  it.each(['F32', 'F16'] as const)('gives the golden text of a copy in %s', async dtype => {
    const folder = await temporaryFolder()
    await convertModel(shakespeare, folder, dtype)
    const [golden] = JSON.parse(await readFile(join(shakespeare, 'golden.json'), 'utf8')) as {
      prompt_ids: number[]
      greedy_ids: number[]
      prompt_last_logits: number[]
    }[]
    const runner = await ReferenceRunner.create(await openModel(folder), [4, 8])
    const { logits, ids } = await runner.generate(golden!.prompt_ids, 24)
    expect(largestDifference(logits, golden!.prompt_last_logits)).toBeLessThan(2e-3)
    expect(ids).toEqual(golden!.greedy_ids.slice(0, 24))
  })

  it.each([[16], [24]])(
    'asks for no shapes, so that all of it runs on a GPU and can be captured there, heads of %d',
    async headDim => {
      const { bytes } = buildSpanGraph(await randomModel({ headDim }), { from: 0, to: 2 }, { maxLength: 64 })
      const text = Buffer.from(bytes).toString('latin1')
      expect(text).toMatch(/"\x13GroupQueryAttention/)
      expect(text).not.toMatch(shapeOperators)
    }
  )

  it('leaves the weights in their files', async () => {
    const model = await randomModel({ hiddenSize: 256, mlpSize: 512 })
    const graph = buildSpanGraph(model, { from: 0, to: 2 }, { maxLength: 8 })
    expect(graph.weightBytes).toBeGreaterThan(4_000_000)
    expect(graph.bytes.byteLength).toBeLessThan(20_000)
  })

  it('takes weights behind links, as in a download cache', async () => {
    const { folder } = await randomModel()
    await mkdir(join(folder, 'blobs'))
    await rename(join(folder, 'model.safetensors'), join(folder, 'blobs/0a1b'))
    await symlink('blobs/0a1b', join(folder, 'model.safetensors'))
    const runner = await ReferenceRunner.create(await openModel(folder), [])
    expect((await runner.run(prompt)).logits.every(Number.isFinite)).toBe(true)
  })

  it('takes weights behind links out of the folder', async () => {
    const cache = await temporaryFolder()
    const snapshot = join(cache, 'snapshots/main')
    await writeRandomModel(snapshot, shape)
    await mkdir(join(cache, 'blobs'))
    await rename(join(snapshot, 'model.safetensors'), join(cache, 'blobs/0a1b'))
    await symlink('../../blobs/0a1b', join(snapshot, 'model.safetensors'))
    const runner = await ReferenceRunner.create(await openModel(snapshot), [])
    expect((await runner.run(prompt)).logits.every(Number.isFinite)).toBe(true)
  })

  it.each([[{ from: 0, to: 3 }], [{ from: 1, to: 1 }], [{ from: -1, to: 1 }]])(
    'refuses blocks that the model lacks: %j',
    async range => {
      const model = await randomModel()
      expect(() => buildSpanGraph(model, range, { maxLength: 8 })).toThrow(expect.objectContaining({ code: 'USAGE' }))
    }
  )
})

describe('sizes', () => {
  it.each([['F32'], ['BF16']] as const)('say before loading what the graph of %s weights says', async dtype => {
    const model = await randomModel({ dtype, bias: true })
    for (const range of [
      { from: 0, to: 1 },
      { from: 0, to: 2 }
    ]) {
      expect(spanBytes(model, range)).toBe(buildSpanGraph(model, range, { maxLength: 8 }).weightBytes)
    }
  })

  it.each(['f16', 'bf16'] as const)('say it of graphs computed in %s, whose norms are float32', async compute => {
    const model = await randomModel({})
    const range = { from: 0, to: 2 }
    const { weightBytes } = buildSpanGraph(model, range, { maxLength: 8, compute })
    expect(spanBytes(model, range, compute)).toBe(weightBytes)
    expect(kvBytesPerToken(model.spec, range, compute)).toBe(kvBytesPerToken(model.spec, range) / 2)
  })

  it('count keys and values of every block in float32', async () => {
    const model = await openModel(shakespeare)
    expect(kvBytesPerToken(model.spec, { from: 2, to: 5 })).toBe(3 * 2 * 2 * 32 * 4)
  })

  it('count the embedding as it is stored and the head as it is computed', async () => {
    const model = await openModel(shakespeare)
    expect(buildEmbedGraph(model).weightBytes).toBe(1024 * 128 * 2)
    expect(buildHeadGraph(model).weightBytes).toBe((1024 * 128 + 128) * 4)
  })
})
