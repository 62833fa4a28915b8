import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLogger } from '../../src/base/index.ts'
import { buildEmbedGraph, buildHeadGraph, buildSpanGraph, type ComputeType, openModel } from '../../src/model/index.ts'
import { type EndsRunner, hostDevice, loadEnds, loadSpan, type SpanRunner } from '../../src/runtime/index.ts'
import { halfPrecisionTargets, type Target, tellSkippedGpu } from './targets.ts'

/**
 * Largest difference of a logit from float32's, the tokens being given. For a trained model a promise, with room: rounding
 * after every operation makes 0.07 of it in bfloat16 and an eighth of that in float16, on these texts. The reference
 * models' random weights, with hidden states up to 43, make more of each rounding: 87 times the unit roundoff (2^-11 in
 * float16, 2^-8 in bfloat16) was measured in float16 on the processor, and 150 times is allowed.
 */
const trained: Readonly<Record<ComputeType, number>> = { f32: 2e-3, f16: 0.02, bf16: 0.15 }
const random: Readonly<Record<ComputeType, number>> = { f32: 2e-3, f16: 150 * 2 ** -11, bf16: 150 * 2 ** -8 }

const reference = join(import.meta.dirname, '../fixtures/reference/v5')
const shakespeare = join(import.meta.dirname, '../../models/tiny-shakespeare')
const maxLength = 256
const exact: Target = { name: 'float32', binding: 'c-api', device: hostDevice, compute: 'f32' }

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
  static async load(folder: string, { compute, device, libraryFolder }: Target, cuts: readonly number[] = []) {
    const model = await openModel(folder)
    const bounds = [0, ...cuts, model.spec.blocks]
    const sizes = { slots: 1, maxLength, threads: 1, logger: silentLogger }
    const spans = await Promise.all(
      bounds.slice(1).map((to, i) => {
        const graph = buildSpanGraph(model, { from: bounds[i]!, to }, { maxLength, compute })
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

tellSkippedGpu()

describe.each(halfPrecisionTargets)('models through $name', target => {
  const folders = [shakespeare, ...readdirSync(reference).map(name => join(reference, name))]

  test.each(folders)('%s: logits of given tokens are near those of float32, and choose the same', async folder => {
    const limit = (folder === shakespeare ? trained : random)[target.compute]
    const [half, full] = await Promise.all([Chain.load(folder, target), Chain.load(folder, exact)])
    for (const { prompt_ids: prompt, greedy_ids: following } of goldensOf(folder)) {
      const [ours, theirs] = [await half.forced(prompt, following), await full.forced(prompt, following)]
      for (const [i, logits] of ours.entries()) {
        const expected = theirs[i]!
        const difference = logits.reduce((most, value, id) => Math.max(most, Math.abs(value - expected[id]!)), 0)
        expect(difference, `largest difference of a logit after ${i} tokens`).toBeLessThanOrEqual(limit)
        const [id, ahead] = highest(expected)
        if (ahead > 2 * limit) expect(highest(logits)[0], `token after ${i}`).toBe(id)
      }
    }
    await Promise.all([half.close(), full.close()])
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
