import { expect, test } from 'vitest'
import type { TrialOutcome, Variant } from '../../src/bench/client/client-calls.ts'
import { type ChainFloor, resultOf } from '../../src/bench/results.ts'

const variant: Variant = { chain: 0, servers: 4, route: 'push', verify: 'auto' }
const trial = (ms: number, change: object = {}): TrialOutcome => ({
  ...{ failed: null, stepMs: Array(30).fill(ms), gapMs: Array(30).fill(ms + 1), clientMs: [1], computeMs: [4] },
  ...{ timeToFirstTokenMs: 9, pushes: { possible: 90, used: 89 }, bytesUp: 100, bytesDown: 200 },
  ...change
})
const floor: ChainFloor = {
  betweenServers: true,
  parts: { servers: 4, oneWayMs: () => 25, computeMs: [1, 1, 1, 1], clientMs: 1, stepBytes: 512, bandwidth: null }
}

test('failed runs are counted, and are in no figure', () => {
  const failed: TrialOutcome = { failed: 'TIMEOUT', message: 'slow' }
  const result = resultOf({ variant, outcomes: [trial(130), failed, trial(140)] }, floor, 1)
  expect(result).toMatchObject({ runs: 3, failed: 1, bytesUp: 100, bytesDown: 200 })
  expect(result.stepMs).toMatchObject({ n: 60, mean: 135 })
  expect(result.msPerToken.mean).toBe(136)
  expect(result.pushesUsed).toBeCloseTo(178 / 180)
  expect(result.ci95).toEqual([130, 140])
})

test.each([
  { route: 'push', floorMs: 130, routeFloorMs: 130 },
  { route: 'relay', floorMs: 130, routeFloorMs: 205 }
] as const)('by $route: the floor of the topology, and that of the route', ({ route, floorMs, routeFloorMs }) => {
  const result = resultOf({ variant: { ...variant, route }, outcomes: [trial(260), trial(260)] }, floor, 1)
  expect(result).toMatchObject({ floorMs, routeFloorMs, floorRatio: 2 })
})

test('where nobody measured the links between servers, only relay has a floor', () => {
  const own = { ...floor, betweenServers: false }
  expect(resultOf({ variant, outcomes: [trial(260)] }, own, 1)).toMatchObject({
    ...{ floorMs: null, routeFloorMs: null, floorRatio: null }
  })
  expect(resultOf({ variant: { ...variant, route: 'relay' }, outcomes: [trial(260)] }, own, 1)).toMatchObject({
    ...{ floorMs: null, routeFloorMs: 205 }
  })
})

test('nothing but failures leaves no figures', () => {
  const result = resultOf({ variant, outcomes: [{ failed: 'BUSY', message: 'no slot' }] }, floor, 1)
  expect(result).toMatchObject({ runs: 1, failed: 1, ci95: null, floorRatio: null, bytesUp: null, pushesUsed: null })
  expect(result.stepMs.n).toBe(0)
})
