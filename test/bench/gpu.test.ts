import { beforeAll, expect, test } from 'vitest'
import { benchGpu, type GpuBenchResult } from '../../src/bench/gpu.ts'
import { formatGpu } from '../../src/bench/gpu-table.ts'

const workload = {
  shape: { hiddenSize: 64, heads: 4, kvHeads: 2, mlpSize: 96 },
  blocks: [1, 2],
  batches: [1, 3],
  pasts: [4, 20],
  prefillTokens: 8,
  copyBytes: 2 ** 20
}
let result: GpuBenchResult

beforeAll(async () => {
  result = await benchGpu({ device: 'cpu', workload, rounds: 12 })
})

test('every length of span is measured with every batch and past, and with a piece of a prompt', () => {
  const variants = result.results.map(({ kind, blocks, batch, past, tokens }) =>
    [kind, blocks, batch, past, tokens].join(' ')
  )
  const of = (blocks: number, past: number) => [
    `decode ${blocks} 1 ${past} 1`,
    `decode ${blocks} 3 ${past} 1`,
    `prefill ${blocks} 1 ${past} 8`
  ]
  expect(variants.toSorted()).toEqual([...of(1, 4), ...of(1, 20), ...of(2, 4), ...of(2, 20)].toSorted())
})

test('a run reads the weights once, and the keys and values of every session', () => {
  const block = 2 * 64 * 64 + 2 * 32 * 64 + 3 * 64 * 96 + 2 * 64
  for (const { blocks, batch, past, bytes } of result.results) {
    expect(bytes).toBe(4 * blocks * (block + batch * past * 2 * 32))
  }
})

test('figures follow from the samples', () => {
  const { copy, results } = result
  expect(copy.bytesPerSecond).toBeCloseTo((2000 * copy.bytes) / copy.ms.mean!)
  for (const { kind, runMs, bytes, bytesPerSecond, copyShare, queuedMs, outsideShare } of results) {
    expect(runMs.n).toBe(12)
    expect(bytesPerSecond).toBeCloseTo((1000 * bytes) / runMs.mean!)
    expect(copyShare).toBeCloseTo(bytesPerSecond / copy.bytesPerSecond)
    expect([queuedMs, outsideShare].every(figure => (figure === null) === (kind === 'prefill'))).toBe(true)
    if (queuedMs !== null) expect(outsideShare).toBeCloseTo(Math.max(0, 1 - queuedMs / runMs.mean!))
  }
})

test('the result is JSON, and a table of a line a variant', () => {
  expect(JSON.parse(JSON.stringify(result))).toEqual(result)
  expect(
    formatGpu(result)
      .split('\n')
      .filter(line => /^(decode|prefill) /.test(line))
  ).toHaveLength(12)
  expect(formatGpu(result)).toContain('device: cpu, asked for')
})

test('a device that is not there is an error', async () => {
  await expect(benchGpu({ device: 'cuda:99', workload })).rejects.toMatchObject({ code: 'DEVICE_UNAVAILABLE' })
})
