import fc from 'fast-check'
import { expect, it } from 'vitest'
import { seededUniform } from '../../src/client/sampling-random.ts'

it('stays in [0, 1), whatever the seed', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), seed => {
      const uniform = seededUniform(seed)
      for (let i = 0; i < 20; i++) {
        const number = uniform()
        expect(number).toBeGreaterThanOrEqual(0)
        expect(number).toBeLessThan(1)
      }
    })
  )
})

it('gives the numbers that texts generated before depend on', () => {
  const uniform = seededUniform(42)
  expect([uniform(), uniform(), uniform()]).toEqual([0.15377165265745885, 0.018084542542176507, 0.5348906284683476])
})

it('spreads evenly', () => {
  const uniform = seededUniform(1)
  const bins = new Array<number>(16).fill(0)
  for (let i = 0; i < 16_000; i++) bins[Math.floor(uniform() * 16)]!++
  for (const count of bins) expect(count).toBeGreaterThan(850)
})
