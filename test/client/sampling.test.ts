import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { UsageError } from '../../src/base/index.ts'
import { createSampler, LogitsError } from '../../src/client/sampling.ts'
import type { SamplingSettings } from '../../src/client/sampling-settings.ts'

/** Probabilities after each of transformers' processors in turn, written as its classes do: whole arrays, sorted. */
function distribution(logits: readonly number[], history: readonly number[], settings: SamplingSettings): number[] {
  const { temperature = 1, topK = 0, topP = 1, repetitionPenalty = 1 } = settings
  let scores = logits.map((score, id) =>
    history.includes(id) ? (score < 0 ? score * repetitionPenalty : score / repetitionPenalty) : score
  )
  scores = scores.map(score => score / temperature)
  if (topK > 0) {
    const kth = scores.toSorted((a, b) => b - a)[Math.min(topK, scores.length) - 1]!
    scores = scores.map(score => (score < kth ? Number.NEGATIVE_INFINITY : score))
  }
  if (topP < 1) {
    const probabilities = softmax(scores)
    const ascending = probabilities
      .map((_, id) => id)
      .toSorted((a, b) => probabilities[a]! - probabilities[b]! || b - a)
    let sum = 0
    for (const id of ascending.slice(0, -1)) {
      sum += probabilities[id]!
      if (sum <= 1 - topP) scores[id] = Number.NEGATIVE_INFINITY
    }
  }
  return softmax(scores)
}

function softmax(scores: readonly number[]): number[] {
  const top = Math.max(...scores)
  const weights = scores.map(score => Math.exp(score - top))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return weights.map(weight => weight / total)
}

const history: number[] = []

describe('greedy', () => {
  it.each([
    { name: 'takes the largest', logits: [1, 3, 2], expected: 1 },
    { name: 'takes the lowest id of equals', logits: [1, 3, 3], expected: 1 },
    { name: 'never takes a forbidden token', logits: [Number.NEGATIVE_INFINITY, -9], expected: 1 },
    { name: 'works where all are negative', logits: [-3, -1, -2], expected: 1 }
  ])('$name', ({ logits, expected }) => {
    expect(createSampler({}).sample(Float32Array.from(logits), history)).toBe(expected)
  })

  it.each([
    { name: 'divides what is positive', logits: [4, 3], seen: [0], expected: 1 },
    { name: 'multiplies what is negative', logits: [-1, -1.5], seen: [0], expected: 1 },
    { name: 'counts a token once, however often it was said', logits: [4, 1.5], seen: [0, 0, 0], expected: 0 },
    { name: 'leaves ids alone that the vocabulary lacks', logits: [4, 3], seen: [7], expected: 0 }
  ])('with a repetition penalty of 2, $name', ({ logits, seen, expected }) => {
    expect(createSampler({ repetitionPenalty: 2 }).sample(Float32Array.from(logits), seen)).toBe(expected)
  })

  it('leaves the logits as they were', () => {
    const logits = Float32Array.of(1, 2, 3)
    createSampler({ temperature: 0.5, topK: 2, topP: 0.9, repetitionPenalty: 1.3 }).sample(logits, [2])
    expect([...logits]).toEqual([1, 2, 3])
  })
})

describe('drawing', () => {
  const logits = [2, 1, 0.5, 0.5, -1, -4, 3, 1.5]
  const draws = 20_000

  it.each<SamplingSettings & { name: string }>([
    { name: 'plain', temperature: 1 },
    { name: 'cooler', temperature: 0.5 },
    { name: 'hotter', temperature: 3 },
    { name: 'top-k', temperature: 1, topK: 3 },
    { name: 'top-k with a tie at the edge', temperature: 1, topK: 5 },
    { name: 'top-k beyond the vocabulary', temperature: 1, topK: 50 },
    { name: 'top-p', temperature: 1, topP: 0.8 },
    { name: 'top-p of 0', temperature: 1, topP: 0 },
    { name: 'everything', temperature: 1.3, topK: 6, topP: 0.9, repetitionPenalty: 1.4 }
  ])('$name gives each token its share', ({ name: _, ...settings }) => {
    const sampler = createSampler({ ...settings, seed: 7 })
    const counts = logits.map(() => 0)
    for (let i = 0; i < draws; i++) counts[sampler.sample(Float32Array.from(logits), [0, 4])]!++
    const expected = distribution(logits, [0, 4], settings)
    for (const [id, share] of expected.entries()) {
      if (share === 0) expect(counts[id], `token ${id} is filtered out`).toBe(0)
      else expect(counts[id]! / draws, `share of token ${id}`).toBeCloseTo(share, 1.6)
    }
  })

  it('takes only what the filters leave, whatever the logits', () => {
    const settings = fc.record({
      temperature: fc.double({ min: 0.05, max: 5, noNaN: true }),
      topK: fc.integer({ min: 0, max: 40 }),
      topP: fc.double({ min: 0, max: 1, noNaN: true }),
      // Quarters: what ties in float64 ties in float32 as well.
      repetitionPenalty: fc.integer({ min: 2, max: 8 }).map(quarters => quarters / 4),
      seed: fc.maxSafeNat()
    })
    const scores = fc.array(fc.integer({ min: -40, max: 40 }), { minLength: 1, maxLength: 30 })
    fc.assert(
      fc.property(scores, fc.array(fc.nat(29), { maxLength: 5 }), settings, (logits, seen, settings) => {
        const quarter = logits.map(logit => logit / 4)
        const id = createSampler(settings).sample(Float32Array.from(quarter), seen)
        // One part in a million of slack in top-p: sums of float32 and of float64 differ where a token is on the edge.
        const slack = { ...settings, topP: Math.min(1, settings.topP + 1e-6) }
        expect(distribution(quarter, seen, slack)[id]).toBeGreaterThan(0)
      })
    )
  })

  it('repeats itself with the same seed and vocabulary, and differs with another', () => {
    const run = (seed: number) => {
      const sampler = createSampler({ temperature: 1, seed })
      return Array.from({ length: 40 }, () => sampler.sample(Float32Array.from(logits), history))
    }
    expect(run(5)).toEqual(run(5))
    expect(run(5)).not.toEqual(run(6))
    expect(run(5)).not.toEqual(run(5 + 2 ** 32))
  })

  it('says the seed that it drew', () => {
    const first = createSampler({ temperature: 1 })
    const again = createSampler({ temperature: 1, seed: first.settings.seed })
    const logits = Float32Array.from({ length: 100 }, (_, id) => Math.sin(id))
    for (let i = 0; i < 20; i++) expect(again.sample(logits, history)).toBe(first.sample(logits, history))
  })
})

describe('what cannot be sampled', () => {
  it.each([
    { name: 'NaN', logits: [1, Number.NaN, 2], settings: {} },
    { name: 'NaN at a temperature', logits: [1, Number.NaN], settings: { temperature: 1 } },
    { name: 'infinity', logits: [1, Number.POSITIVE_INFINITY], settings: { temperature: 1 } },
    { name: 'all forbidden', logits: [Number.NEGATIVE_INFINITY], settings: {} }
  ])('$name', ({ logits, settings }) => {
    expect(() => createSampler(settings).sample(Float32Array.from(logits), history)).toThrow(LogitsError)
  })

  it.each<[SamplingSettings, string]>([
    [{ temperature: -1 }, 'temperature is -1'],
    [{ temperature: Number.NaN }, 'temperature is NaN'],
    [{ temperature: Number.POSITIVE_INFINITY }, 'temperature is Infinity'],
    [{ topP: 1.5 }, 'top-p is 1.5'],
    [{ topK: -1 }, 'top-k is -1'],
    [{ topK: 1.5 }, 'top-k is 1.5'],
    [{ repetitionPenalty: 0 }, 'repetition penalty is 0'],
    [{ seed: -1 }, 'seed is -1'],
    [{ seed: 2 ** 53 }, 'seed is 9007199254740992']
  ])('settings %j', (settings, message) => {
    expect(() => createSampler(settings)).toThrow(UsageError)
    expect(() => createSampler(settings)).toThrow(message)
  })
})
