import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openModel } from '../../src/model/index.ts'
import { largestDifference, ReferenceRunner } from './reference-runner.ts'

const fixtures = join(import.meta.dirname, '../fixtures/reference')
const shakespeare = join(import.meta.dirname, '../../models/tiny-shakespeare')

interface ReferenceGolden {
  prompt_ids: number[]
  logits_last: number[]
  hidden_after_block: Record<string, number[]>
  greedy_ids: number[]
}

interface ShakespeareGolden {
  prompt: string
  prompt_ids: number[]
  greedy_ids: number[]
  text: string
  prompt_last_logits: number[]
}

function readJson<T>(...path: string[]): T {
  return JSON.parse(readFileSync(join(...path), 'utf8')) as T
}

const folders = ['v4', 'v5'].flatMap(form => readdirSync(join(fixtures, form)).map(name => `${form}/${name}`))

describe('graphs give what transformers computes', () => {
  it.each(folders)('%s, a span a block', async folder => {
    const golden = readJson<ReferenceGolden>(fixtures, folder, 'golden.json')
    const model = await openModel(join(fixtures, folder))
    const runner = await ReferenceRunner.create(model, [1, 2])
    const { hidden, logits } = await runner.run(golden.prompt_ids)
    for (const [block, expected] of Object.entries(golden.hidden_after_block)) {
      expect(largestDifference(hidden[Number(block)]!, expected), `hidden states after block ${block}`).toBeLessThan(
        1e-3
      )
    }
    expect(largestDifference(logits, golden.logits_last), 'logits').toBeLessThan(1e-3)
  })

  it.each(folders)('%s, one span, greedy', async folder => {
    const golden = readJson<ReferenceGolden>(fixtures, folder, 'golden.json')
    const runner = await ReferenceRunner.create(await openModel(join(fixtures, folder)), [])
    const { logits, ids } = await runner.generate(golden.prompt_ids, golden.greedy_ids.length)
    expect(largestDifference(logits, golden.logits_last), 'logits').toBeLessThan(1e-3)
    expect(ids).toEqual(golden.greedy_ids)
  })
})

describe('tiny-shakespeare speaks as its golden texts', () => {
  const goldens = readJson<ShakespeareGolden[]>(shakespeare, 'golden.json')

  it.each(goldens.map(golden => [JSON.stringify(golden.prompt), golden] as const))('%s', async (_, golden) => {
    const model = await openModel(shakespeare)
    const tokenizer = await model.tokenizer()
    expect(tokenizer?.encode(golden.prompt)).toEqual(golden.prompt_ids)
    const runner = await ReferenceRunner.create(model, [5])
    const { logits, ids } = await runner.generate(golden.prompt_ids, golden.greedy_ids.length)
    expect(largestDifference(logits, golden.prompt_last_logits), 'logits').toBeLessThan(2e-3)
    expect(ids).toEqual(golden.greedy_ids)
    expect(tokenizer?.decode(ids)).toBe(golden.text)
  })
})
