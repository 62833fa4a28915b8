import fc from 'fast-check'
import { expect, test } from 'vitest'
import { interleave } from '../../src/bench/order.ts'

test('every round holds every variant once', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 8 }), fc.integer(), (kinds, runs, seed) => {
      const variants = Array.from({ length: kinds }, (_, i) => i)
      const trials = interleave(variants, runs, seed)
      expect(trials).toHaveLength(kinds * runs)
      for (let run = 0; run < runs; run++) {
        const round = trials.slice(run * kinds, (run + 1) * kinds)
        expect(round.every(trial => trial.run === run)).toBe(true)
        expect(round.map(trial => trial.variant).sort()).toEqual(variants)
      }
    })
  )
})

test('the order is the seed’s, and changes from round to round', () => {
  const routes = ['relay', 'push', 'delegate']
  expect(interleave(routes, 10, 1)).toEqual(interleave(routes, 10, 1))
  expect(interleave(routes, 10, 1)).not.toEqual(interleave(routes, 10, 2))
  const firsts = interleave(routes, 40, 1).filter((_, i) => i % 3 === 0)
  expect(new Set(firsts.map(trial => trial.variant))).toEqual(new Set(routes))
})
