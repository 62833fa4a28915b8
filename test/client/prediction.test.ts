import fc from 'fast-check'
import { expect, it } from 'vitest'
import { predictRoutes } from '../../src/client/prediction.ts'

const of = (pings: number[]) => predictRoutes(pings.map(pingMs => ({ pingMs })))

it('takes equal distances for distances between servers, too', () => {
  expect(of([50, 50, 50, 50]).map(({ route, networkMs }) => [route, networkMs])).toEqual([
    ['relay', 200],
    ['push', 125],
    ['delegate', 150]
  ])
})

it('tells how far the legs between servers may be off', () => {
  expect(of([20, 60])).toEqual([
    { route: 'relay', networkMs: 80, leastMs: 80, mostMs: 80 },
    { route: 'push', networkMs: 10 + 30 + 30, leastMs: 10 + 20 + 30, mostMs: 10 + 40 + 30 },
    { route: 'delegate', networkMs: 10 + 30 + 30 + 10, leastMs: 10 + 20 + 20 + 10, mostMs: 10 + 40 + 40 + 10 }
  ])
})

it('never expects push to be slower than relay', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 500, noNaN: true }), { minLength: 1, maxLength: 12 }), pings => {
      const [relay, push] = of(pings)
      expect(push!.mostMs).toBeLessThanOrEqual(relay!.networkMs + 1e-6)
      expect(push!.leastMs).toBeLessThanOrEqual(push!.networkMs)
      expect(push!.networkMs).toBeLessThanOrEqual(push!.mostMs)
    })
  )
})
