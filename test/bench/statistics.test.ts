import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createRng } from '../../src/bench/rng.ts'
import { bootstrapInterval, mean, percentile, summarize } from '../../src/bench/statistics.ts'

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1)

describe('percentile', () => {
  test.each([
    { n: 19, percent: 50, expected: null, why: 'nine samples beyond the median' },
    { n: 20, percent: 50, expected: 10, why: 'ten beyond' },
    { n: 41, percent: 50, expected: 21, why: 'the middle one' },
    { n: 99, percent: 90, expected: null, why: 'nine beyond' },
    { n: 100, percent: 90, expected: 90, why: 'nearest rank, no interpolation' },
    { n: 999, percent: 99, expected: null, why: 'nine beyond' },
    { n: 1000, percent: 99, expected: 990, why: 'ten beyond' },
    { n: 0, percent: 50, expected: null, why: 'nothing was measured' }
  ])('of 1..$n, p$percent is $expected: $why', ({ n, percent, expected }) => {
    expect(percentile(upTo(n), percent)).toBe(expected)
  })
})

describe('summarize', () => {
  test('nothing measured is null, not zero', () => {
    expect(summarize([])).toEqual({ n: 0, mean: null, p50: null, p90: null, p99: null, max: null })
    expect(mean([])).toBeNull()
  })

  test('sorts by value, not as text, and leaves its input alone', () => {
    const samples = [100, 9, 20, ...upTo(38)]
    const before = [...samples]
    expect(summarize(samples)).toEqual({ n: 41, mean: (129 + 741) / 41, p50: 20, p90: null, p99: null, max: 100 })
    expect(samples).toEqual(before)
  })

  test('percentiles are samples, ascend, and do not depend on order', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, min: 0, max: 1e6 }), { minLength: 20, maxLength: 300 }),
        samples => {
          const { p50, p90, max } = summarize(samples)
          expect(samples).toContain(p50)
          expect(p50).toBeLessThanOrEqual(p90 ?? max ?? 0)
          expect(summarize(samples.toReversed())).toMatchObject({ p50, p90, max })
        }
      )
    )
  })
})

describe('bootstrapInterval', () => {
  const meanOf = (runs: readonly number[]) => mean(runs)

  test('one run says nothing about how runs differ', () => {
    expect(bootstrapInterval([5], meanOf, 1)).toBeNull()
    expect(bootstrapInterval([], meanOf, 1)).toBeNull()
  })

  test('runs that agree leave no doubt', () => {
    expect(bootstrapInterval([3, 3, 3], meanOf, 1)).toEqual([3, 3])
  })

  test('is the seed’s, and holds the statistic of the runs themselves', () => {
    const rng = createRng(11)
    const runs = Array.from({ length: 12 }, () => 100 + rng.next())
    const interval = bootstrapInterval(runs, meanOf, 4)!
    expect(bootstrapInterval(runs, meanOf, 4)).toEqual(interval)
    expect(bootstrapInterval(runs, meanOf, 5)).not.toEqual(interval)
    expect(interval[0]).toBeLessThan(mean(runs)!)
    expect(interval[1]).toBeGreaterThan(mean(runs)!)
  })

  test('covers the true mean about 95 times in a hundred', () => {
    const rng = createRng(1)
    let covered = 0
    for (let i = 0; i < 200; i++) {
      const runs = Array.from({ length: 30 }, () => rng.next())
      const [low, high] = bootstrapInterval(runs, meanOf, i)!
      if (low <= 0.5 && 0.5 <= high) covered++
    }
    expect(covered).toBeGreaterThanOrEqual(176)
    expect(covered).toBeLessThanOrEqual(199)
  })
})
