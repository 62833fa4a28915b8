import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLogger } from '../../src/base/index.ts'
import { buildEmbedGraph, buildHeadGraph, buildSpanGraph, type ComputeType, openModel } from '../../src/model/index.ts'
import { hostAsDevice } from '../../src/runtime/c-api/index.ts'
import { type EndsRunner, hostDevice, loadEnds, loadSpan, type SpanRunner } from '../../src/runtime/index.ts'
import { buildRoundedSpan, buildSpanOfRoundedFactors } from './rounded-span.ts'
import { halfPrecisionTargets, type Target, tellSkippedGpu } from './targets.ts'

/**
 * Largest difference of a logit of a trained model from float32's, the tokens being given: promised. And of every model
 * that the token is the same, where float32's two highest logits differ by more than twice that.
 */
const promised: Readonly<Record<ComputeType, number>> = { f32: 0, f16: 0.02, bf16: 0.15 }

/**
 * The reference models' weights are random: their hidden states grow to 68 where the logits stay below 9, and what a
 * rounding makes of a logit differs from model to model by a factor of almost three. So each is its own measure: the
 * difference that rounding after every operation makes in it, 0.032 to 0.077 in float16 and 0.22 to 0.59 in bfloat16.
 * Kernels round elsewhere too, as within attention, and not everywhere, as where operators are fused, which makes other
 * differences of that size (ONNX Runtime 1.30's in float16 on the processor: 0.33 to 0.96 of it; 1.27's CUDA kernels, run
 * on a processor: 0.66 to 1.19): twice as much is allowed.
 *
 * The trained model's 0.02 and 0.15 are out of reach for them, whatever the graph: if only what goes into products is
 * rounded, weights and the values they are multiplied with, they are off by 0.027 to 0.082 in float16 and 0.23 to 0.46
 * in bfloat16, as a test below shows. What a graph could keep in float32 at no cost, it does: the sum of the blocks, the
 * norms, and what products and attention add up.
 *
 * SiLU costs kernels, and is left to ONNX Runtime: CUDA's rounds each of its steps, which is the largest single part of
 * the trained model's difference. Its root mean square is 0.0118 in bfloat16 and 0.0014 in float16 by the same kernels;
 * 0.0093 and 0.0011 with SiLU in float32 between casts, which makes 16 kernels and products of a block's 14; 0.0086 and
 * 0.0011 with the product after it in float32 too, 17 of them. Models of random weights come no nearer by either.
 */
const ofMeasure = 2

const references = ['v4', 'v5'].flatMap(version => {
  const folder = join(import.meta.dirname, '../fixtures/reference', version)
  return readdirSync(folder).map(name => join(folder, name))
})
const shakespeare = join(import.meta.dirname, '../../models/tiny-shakespeare')
const maxLength = 256
const exact: HalfTarget = { name: 'float32', binding: 'c-api', device: hostDevice, compute: 'f32' }

interface HalfTarget extends Target {
  readonly build?: typeof buildSpanGraph
}

function rounded(compute: ComputeType): HalfTarget {
  const name = `a processor that rounds to ${compute} after every operation`
  return { name, binding: 'c-api', device: hostAsDevice(), compute, build: buildRoundedSpan }
}

interface Golden {
  readonly prompt_ids: readonly number[]
  readonly greedy_ids: readonly number[]
}

function goldensOf(folder: string): Golden[] {
  const goldens = JSON.parse(readFileSync(join(folder, 'golden.json'), 'utf8')) as Golden | Golden[]
  return Array.isArray(goldens) ? goldens : [goldens]
}

/** Spans one behind the other, and the ends of the model around them. */
class Chain {
  readonly #spans: readonly SpanRunner[]
  readonly #ends: EndsRunner

  private constructor(spans: readonly SpanRunner[], ends: EndsRunner) {
    this.#spans = spans
    this.#ends = ends
  }

  /** @param cuts block numbers where spans begin, after the first */
  static async load(folder: string, target: HalfTarget, cuts: readonly number[] = []) {
    const { compute, device, libraryFolder, build = buildSpanGraph } = target
    const model = await openModel(folder)
    const bounds = [0, ...cuts, model.spec.blocks]
    const sizes = { slots: 1, maxLength, threads: 1, logger: silentLogger }
    const spans = await Promise.all(
      bounds.slice(1).map((to, i) => {
        const graph = build(model, { from: bounds[i]!, to }, { maxLength, compute })
        return loadSpan(graph, { ...sizes, device, ...(libraryFolder === undefined ? {} : { libraryFolder }) })
      })
    )
    return new Chain(spans, await loadEnds(buildEmbedGraph(model), buildHeadGraph(model), sizes))
  }

  async close(): Promise<void> {
    await Promise.all([...this.#spans, this.#ends].map(runner => runner.close()))
  }

  /** Logits after the prompt, and after each of the tokens that follow it. */
  async forced(prompt: readonly number[], following: readonly number[]): Promise<Float32Array[]> {
    for (const span of this.#spans) span.release(0)
    const all = [await this.#logits(prompt)]
    for (const id of following) all.push(await this.#logits([id]))
    return all
  }

  async greedy(prompt: readonly number[], tokens: number): Promise<number[]> {
    for (const span of this.#spans) span.release(0)
    const ids = [highest(await this.#logits(prompt))[0]]
    while (ids.length < tokens) ids.push(highest(await this.#logits(ids.slice(-1)))[0])
    return ids
  }

  async #logits(ids: readonly number[]): Promise<Float32Array> {
    const { hiddenSize, vocabSize } = this.#ends
    let hidden = new Float32Array(ids.length * hiddenSize)
    await this.#ends.embed(ids, hidden)
    for (const span of this.#spans) {
      const output = new Float32Array(hidden.length)
      const run = { slot: 0, position: span.length(0), input: hidden, output }
      if (ids.length === 1) await span.decode([run])
      else await span.prefill(run)
      hidden = output
    }
    const logits = new Float32Array(vocabSize)
    await this.#ends.logits(hidden.slice(-hiddenSize), logits)
    return logits
  }
}

/** The token with the highest logit, and by how much it is ahead of the next. */
function highest(logits: Float32Array): [id: number, ahead: number] {
  const id = logits.reduce((best, value, i) => (value > logits[best]! ? i : best), 0)
  const second = logits.reduce((most, value, i) => (i === id ? most : Math.max(most, value)), -Infinity)
  return [id, logits[id]! - second]
}

/** What each of a model's golden texts makes of its logits, the tokens being given. */
async function forced(folder: string, target: HalfTarget): Promise<Float32Array[]> {
  const chain = await Chain.load(folder, target)
  try {
    const all: Float32Array[] = []
    for (const { prompt_ids, greedy_ids } of goldensOf(folder))
      all.push(...(await chain.forced(prompt_ids, greedy_ids)))
    return all
  } finally {
    await chain.close()
  }
}

function farthest(some: readonly Float32Array[], others: readonly Float32Array[]): number {
  const differences = some.map((logits, i) =>
    logits.reduce((most, value, id) => Math.max(most, Math.abs(value - others[i]![id]!)), 0)
  )
  return Math.max(...differences)
}

function expectNear(
  [ours, theirs]: readonly [readonly Float32Array[], readonly Float32Array[]],
  compute: ComputeType,
  limit = promised[compute]
): void {
  expect(farthest(ours, theirs), 'largest difference of a logit').toBeLessThanOrEqual(limit)
  for (const [i, expected] of theirs.entries()) {
    const [id, ahead] = highest(expected)
    if (ahead > 2 * promised[compute]) expect(highest(ours[i]!)[0], `token ${i}`).toBe(id)
  }
}

tellSkippedGpu()

describe.each(halfPrecisionTargets)('models of random weights through $name', target => {
  test.each(references)('%s: logits of given tokens are as near as rounding leaves them', async folder => {
    const theirs = await forced(folder, exact)
    const measure = farthest(await forced(folder, rounded(target.compute)), theirs)
    expectNear([await forced(folder, target), theirs], target.compute, ofMeasure * measure)
  })
})

describe.each([rounded('f16'), rounded('bf16')])('models of random weights through $name', target => {
  test.each(references)('%s: tokens are those of float32 where it is sure of them', async folder => {
    expectNear([await forced(folder, target), await forced(folder, exact)], target.compute, Infinity)
  })
})

describe.each(['f16', 'bf16'] as const)('float32 with products of values in %s', compute => {
  test.each(references)(
    '%s: logits of random weights are farther off than is promised of the trained one',
    async folder => {
      const build = buildSpanOfRoundedFactors(compute)
      const off = farthest(await forced(folder, { ...exact, build }), await forced(folder, exact))
      expect(off).toBeGreaterThan(promised[compute])
    }
  )
})

describe.each([rounded('f16'), rounded('bf16'), ...halfPrecisionTargets])('a trained model through $name', target => {
  test('logits of given tokens are near those of float32, and choose the same', async () => {
    expectNear([await forced(shakespeare, target), await forced(shakespeare, exact)], target.compute)
  })

  describe('over a chain of three', () => {
    let [whole, chain]: [Chain?, Chain?] = []
    beforeAll(async () => {
      whole = await Chain.load(shakespeare, target)
      chain = await Chain.load(shakespeare, target, [4, 7])
    })
    afterAll(() => Promise.all([whole?.close(), chain?.close()]))

    test.each(goldensOf(shakespeare).map((golden, i) => [i, golden] as const))(
      'golden text %d is that of one undivided span',
      async (_, { prompt_ids: prompt, greedy_ids: following }) => {
        const expected = await whole!.greedy(prompt, following.length)
        expect(await chain!.greedy(prompt, following.length)).toEqual(expected)
      }
    )
  })
})
