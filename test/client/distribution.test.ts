import { describe, expect, test } from 'vitest'
import { distribution } from '../../src/client/distribution.ts'

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => n - i)

describe('a distribution', () => {
  test.each([
    [0, { n: 0, mean: null, p50: null, p90: null, p99: null, max: null }],
    [19, { n: 19, mean: 10, p50: null, p90: null, p99: null, max: 19 }],
    [20, { n: 20, mean: 10.5, p50: 10, p90: null, p99: null, max: 20 }],
    [99, { n: 99, mean: 50, p50: 50, p90: null, p99: null, max: 99 }],
    [100, { n: 100, mean: 50.5, p50: 50, p90: 90, p99: null, max: 100 }],
    [1000, { n: 1000, mean: 500.5, p50: 500, p90: 900, p99: 990, max: 1000 }]
  ])('of %i samples tells only percentiles with ten samples beyond them, by nearest rank', (n, expected) => {
    expect(distribution(upTo(n))).toEqual(expected)
  })
})
