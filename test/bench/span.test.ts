import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { benchSpan, type SpanBenchResult } from '../../src/bench/span.ts'
import { MemoryReader } from '../../src/bench/span-roofline.ts'
import { runSources } from './run-sources.ts'

const shape = { blocks: 2, hiddenSize: 64, heads: 4, kvHeads: 2, mlpSize: 96 }
let result: SpanBenchResult

beforeAll(async () => {
  vi.stubEnv('NODE_OPTIONS', runSources)
  result = await benchSpan({ shape, past: 8, threads: [1, 2], rounds: 20, prefillTokens: 16 })
})
afterAll(() => vi.unstubAllEnvs())

test('counts the bytes that a step reads: weights, and keys and values of the past', () => {
  const block = 2 * 64 * 64 + 2 * 32 * 64 + 3 * 64 * 96 + 2 * 64
  expect(result.weightBytes).toBe(4 * 2 * block)
  expect(result.bytesPerStep).toBe(4 * (2 * block + 8 * 2 * 2 * 32))
})

test('every number of threads has samples of every kind, and figures that follow from them', () => {
  expect(result.threads.map(({ threads }) => threads)).toEqual([1, 2])
  for (const { stepMs, bareRatio, rooflineShare, rooflineBytesPerSecond, eventLoop } of result.threads) {
    for (const { n, mean } of Object.values(stepMs)) {
      expect(n).toBe(20)
      expect(mean).toBeGreaterThan(0)
    }
    expect(bareRatio.value).toBeGreaterThan(0)
    expect(bareRatio.ok).toBe((bareRatio.ci95?.[1] ?? Infinity) <= 1.1)
    expect(rooflineShare.value).toBeGreaterThan(0)
    expect(rooflineShare.ok).toBe((rooflineShare.ci95?.[0] ?? 0) >= 0.85)
    expect(rooflineBytesPerSecond).toBeGreaterThan(0)
    expect(eventLoop).toMatchObject({ tokens: 16, runs: 5 })
  }
})

test('a process of its own runs the span and looks at its memory', () => {
  const { start, loaded, afterSteps } = result.memory
  expect(start).toBeGreaterThan(0)
  expect(loaded).toBeGreaterThan(start)
  expect(result.memoryOverhead.value).toBe(afterSteps - start - result.weightBytes)
})

test('the result is JSON', () => {
  expect(JSON.parse(JSON.stringify(result))).toEqual(result)
})

test('the memory reader reads as often as it is asked to', async () => {
  await using reader = await MemoryReader.start(2 ** 20, 2)
  for (let i = 0; i < 3; i++) expect(await reader.read()).toBeGreaterThan(0)
})
