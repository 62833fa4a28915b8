import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLogger } from '../../src/base/index.ts'
import { buildEmbedGraph, buildHeadGraph, type Model, openModel } from '../../src/model/index.ts'
import { bindingNames } from '../../src/runtime/binding.ts'
import { type EndsRunner, loadEnds } from '../../src/runtime/index.ts'

/** bfloat16 values of a row of the embedding, which is stored so. */
async function storedRow(model: Model, id: number): Promise<Float32Array> {
  const { hiddenSize } = model.spec
  const bytes = await model.readTensor('model.embed_tokens.weight')
  const stored = new DataView(bytes.buffer, bytes.byteOffset + 2 * id * hiddenSize)
  const words = Uint32Array.from({ length: hiddenSize }, (_, i) => stored.getUint16(2 * i, true) << 16)
  return new Float32Array(words.buffer)
}

describe.each(bindingNames)('embedding and head through the %s binding', binding => {
  let model: Model
  let ends: EndsRunner

  beforeAll(async () => {
    model = await openModel('models/tiny-shakespeare')
    ends = await loadEnds(buildEmbedGraph(model), buildHeadGraph(model), { binding, threads: 1, logger: silentLogger })
  })
  afterAll(() => ends.close())

  test.each([1, 2, 255, 256, 257, 600])('%d ids give their rows of the table', async count => {
    const ids = Array.from({ length: count }, (_, i) => (i * 7 + count) % ends.vocabSize)
    const output = new Float32Array(count * ends.hiddenSize)
    await ends.embed(ids, output)
    for (const i of new Set([0, Math.min(256, count - 1), count - 1])) {
      const row = output.subarray(i * ends.hiddenSize, (i + 1) * ends.hiddenSize)
      expect(row).toEqual(await storedRow(model, ids[i]!))
    }
  })

  test('no ids give nothing', async () => {
    await ends.embed([], new Float32Array(0))
  })

  test('calls that overlap each get their own numbers', async () => {
    const ids = [3, 1, 4, 1, 5]
    const rows = ids.map(() => new Float32Array(ends.hiddenSize))
    await Promise.all(ids.map((id, i) => ends.embed([id], rows[i]!)))
    for (const [i, id] of ids.entries()) expect(rows[i]).toEqual(await storedRow(model, id))

    const logits = rows.map(() => new Float32Array(ends.vocabSize))
    await Promise.all(rows.map((row, i) => ends.logits(row, logits[i]!)))
    expect(logits[1]).toEqual(logits[3])
    expect(logits[0]).not.toEqual(logits[1])
    expect(logits.every(row => row.every(Number.isFinite))).toBe(true)
  })

  test.each([-1, 0.5, 1e9, Number.NaN])('refuses token id %d, and goes on', async id => {
    const output = new Float32Array(2 * ends.hiddenSize)
    await expect(ends.embed([0, id], output)).rejects.toMatchObject({ code: 'RUN_INPUT' })
    await ends.embed([0, 1], output)
  })

  test('refuses buffers that do not fit', async () => {
    const { hiddenSize, vocabSize } = ends
    const floats = (count: number) => new Float32Array(count)
    await expect(ends.embed([1], floats(hiddenSize + 1))).rejects.toMatchObject({ code: 'RUN_INPUT' })
    await expect(ends.logits(floats(hiddenSize - 1), floats(vocabSize))).rejects.toMatchObject({ code: 'RUN_INPUT' })
    await expect(ends.logits(floats(hiddenSize), floats(vocabSize - 1))).rejects.toMatchObject({ code: 'RUN_INPUT' })
  })

  test('after close it refuses', async () => {
    const other = await loadEnds(buildEmbedGraph(model), buildHeadGraph(model), {
      binding,
      threads: 1,
      logger: silentLogger
    })
    await other.close()
    const closed = { code: 'RUNNER_CLOSED' }
    await expect(other.embed([1], new Float32Array(other.hiddenSize))).rejects.toMatchObject(closed)
    const row = new Float32Array(other.hiddenSize)
    await expect(other.logits(row, new Float32Array(other.vocabSize))).rejects.toMatchObject(closed)
  })
})
