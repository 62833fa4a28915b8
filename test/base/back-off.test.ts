import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BackOff } from '../../src/base/index.ts'

const init = { first: 100, most: 1000 }
const unit = fc.double({ min: 0, max: 1, noNaN: true })

test('each wait is twice the one before, up to a most, and after a success the first again', () => {
  const backOff = new BackOff({ random: () => 0.5 }, init)
  const waits = (): number[] => Array.from({ length: 6 }, () => backOff.next())
  expect(waits()).toEqual([100, 200, 400, 800, 1000, 1000])
  backOff.reset()
  expect(waits()).toEqual([100, 200, 400, 800, 1000, 1000])
})

test('whoever failed together comes back apart, and nobody at once or later than half as late again', () => {
  fc.assert(
    fc.property(unit, unit, fc.nat(20), (one, other, failures) => {
      const last = (random: number): number => {
        const backOff = new BackOff({ random: () => random }, init)
        for (let i = 0; i < failures; i++) backOff.next()
        return backOff.next()
      }
      const mean = Math.min(init.most, init.first * 2 ** failures)
      expect(last(one)).toBeCloseTo(mean * (0.5 + one))
      expect(last(one) - last(other)).toBeCloseTo(mean * (one - other))
    })
  )
})
