import { describe, expect, test } from 'vitest'
import { createRng, noise } from '../../src/bench/rng.ts'

const draw = (seed: number, n: number) => {
  const rng = createRng(seed)
  return Array.from({ length: n }, () => rng.next())
}

describe('createRng', () => {
  test('the same seed gives the same numbers, another seed others', () => {
    expect(draw(7, 100)).toEqual(draw(7, 100))
    for (const seed of [0, 8, 7 + 2 ** 32, -7]) expect(draw(seed, 4)).not.toEqual(draw(7, 4))
  })

  test.each([0, 1, 123_456_789])('seed %i: numbers fill [0, 1) evenly', seed => {
    const tenths = new Array<number>(10).fill(0)
    for (const value of draw(seed, 10_000)) tenths[Math.floor(value * 10)]!++
    // Of a binomial with p = 0.1, five standard deviations are 150.
    for (const count of tenths) expect(Math.abs(count - 1000)).toBeLessThan(150)
  })

  test('integers stay below the bound and reach every value', () => {
    const rng = createRng(3)
    expect(new Set(Array.from({ length: 200 }, () => rng.integer(6)))).toEqual(new Set([0, 1, 2, 3, 4, 5]))
  })
})

describe('noise', () => {
  test('depends on each of its arguments and on nothing else', () => {
    const base = noise(1, 2, 3)
    expect(noise(1, 2, 3)).toBe(base)
    for (const other of [noise(2, 2, 3), noise(1, 3, 3), noise(1, 2, 4), noise(1, 2, 3 + 2 ** 32), noise(1, 3, 2)]) {
      expect(other).not.toBe(base)
    }
  })

  test('neighbouring offsets are spread evenly over [0, 1)', () => {
    const values = Array.from({ length: 10_000 }, (_, offset) => noise(1, 0, offset * 64))
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    expect(mean).toBeGreaterThan(0.48)
    expect(mean).toBeLessThan(0.52)
    for (const value of values) expect(value >= 0 && value < 1, `noise in [0, 1): ${value}`).toBe(true)
  })
})
