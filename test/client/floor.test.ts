import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type FloorParts, floorMs, routeLegs } from '../../src/client/floor.ts'

const uniform = (servers: number, delayMs: number, computeMs: number, more: Partial<FloorParts> = {}): FloorParts => ({
  servers,
  oneWayMs: () => delayMs,
  computeMs: Array.from({ length: servers }, () => computeMs),
  clientMs: 0,
  stepBytes: 3072,
  bandwidth: null,
  ...more
})

describe('legs of a step', () => {
  test.each([
    { route: 'relay', servers: 1, legs: '0-1 1-0' },
    { route: 'push', servers: 1, legs: '0-1 1-0' },
    { route: 'delegate', servers: 1, legs: '0-1 1-0' },
    { route: 'relay', servers: 3, legs: '0-1 1-0 0-2 2-0 0-3 3-0' },
    { route: 'push', servers: 3, legs: '0-1 1-2 2-3 3-0' },
    { route: 'delegate', servers: 3, legs: '0-1 1-2 2-3 3-1 1-0' }
  ] as const)('$route over $servers', ({ route, servers, legs }) => {
    expect(
      routeLegs(route, servers)
        .map(leg => leg.join('-'))
        .join(' ')
    ).toBe(legs)
  })
})

describe('floors', () => {
  test.each([
    { route: 'push', servers: 4, expected: 5 * 25 + 4 * 6 },
    { route: 'relay', servers: 4, expected: 8 * 25 + 4 * 6 },
    { route: 'delegate', servers: 4, expected: 6 * 25 + 4 * 6 },
    { route: 'push', servers: 2, expected: 3 * 25 + 2 * 6 },
    { route: 'relay', servers: 1, expected: 2 * 25 + 6 }
  ] as const)(
    '$route over $servers servers 25 ms apart, 6 ms of compute each: $expected ms',
    ({ route, servers, expected }) => {
      expect(floorMs(route, uniform(servers, 25, 6))).toBe(expected)
    }
  )

  test('every leg takes the time of its bytes, and the client its own', () => {
    const parts = uniform(4, 25, 6, { bandwidth: 10e6, stepBytes: 12_500, clientMs: 1.5 })
    expect(floorMs('push', parts)).toBeCloseTo(125 + 24 + 5 * 10 + 1.5, 9)
    expect(floorMs('relay', parts)).toBeCloseTo(200 + 24 + 8 * 10 + 1.5, 9)
  })

  test('directions may differ', () => {
    const oneWayMs = (from: number, to: number) => from * 10 + to
    expect(floorMs('push', uniform(2, 0, 0, { oneWayMs }))).toBe(1 + 12 + 20)
    expect(floorMs('delegate', uniform(2, 0, 0, { oneWayMs }))).toBe(1 + 12 + 21 + 10)
  })

  test('where the triangle inequality holds, push is never slower than relay, nor than delegate', () => {
    const point = fc.record({
      x: fc.double({ noNaN: true, min: 0, max: 60 }),
      y: fc.double({ noNaN: true, min: 0, max: 60 })
    })
    fc.assert(
      fc.property(fc.array(point, { minLength: 2, maxLength: 9 }), points => {
        const oneWayMs = (a: number, b: number) => Math.hypot(points[a]!.x - points[b]!.x, points[a]!.y - points[b]!.y)
        const parts = uniform(points.length - 1, 0, 5, { oneWayMs })
        const push = floorMs('push', parts)
        expect(push).toBeLessThanOrEqual(floorMs('relay', parts) + 1e-9)
        expect(push).toBeLessThanOrEqual(floorMs('delegate', parts) + 1e-9)
      })
    )
  })
})
