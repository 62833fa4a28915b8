import fc from 'fast-check'
import { expect, it } from 'vitest'
import { explain } from '../../src/cli/explain.ts'
import type { GenerationResult, HopFigures, LatencyFigures } from '../../src/client/index.ts'

const spread = { p50: null, p90: null, p99: null, max: null }
const hop: HopFigures = {
  peerId: 'one',
  blocks: [0, 1],
  computeMs: 10,
  queueMs: 0,
  otherMs: 0,
  networkMs: 20,
  networkErrorMs: 0,
  detourMs: 0,
  pingMs: 30
}
type Explained = LatencyFigures & Pick<GenerationResult, 'route'>
const result = (change: Partial<Explained>): Explained => ({
  route: 'push',
  msPerToken: { n: 10, mean: 94, ...spread },
  stepMs: { n: 10, mean: 94, ...spread },
  tokensPerSecond: 10,
  clientMs: 1,
  hops: [hop, hop, hop],
  unaccountedMs: 3,
  floorMs: 91,
  routeFloorMs: 91,
  floorRatio: 1.033,
  floorBasis: 'minimum',
  stalls: { count: 0, longestMs: 0, totalMs: 0 },
  ...change
})

it('closes the budget of a step in one line', () => {
  expect(explain(result({}))).toBe(
    '94 ms = 60 network + 30 compute + 1 client + 3 unaccounted; floor 91 (1.03x); relay would be about 124'
  )
})

it('says what relaying would take only where something else was done and all servers were pinged', () => {
  expect(explain(result({ route: 'relay' }))).toMatch(/; floor 91 \(1\.03x\)$/)
  expect(explain(result({ hops: [hop, { ...hop, pingMs: null }, hop] }))).not.toContain('relay')
  expect(explain(result({ hops: [hop] }))).not.toContain('relay')
})

it('names the queue, and what else there was, only where there was any', () => {
  expect(explain(result({ hops: [{ ...hop, queueMs: 4, otherMs: 2 }] }))).toContain('+ 4 queue + 2 other +')
})

it('says where the floor is unknown', () => {
  expect(explain(result({ floorMs: null, floorRatio: null }))).toContain('; floor unknown;')
})

it('has nothing to explain after one token', () => {
  expect(explain(result({ stepMs: { n: 0, mean: null, ...spread } }))).toMatch(/no decode step/)
})

it('adds up to the digit', () => {
  const ms = fc.double({ min: 0, max: 100, noNaN: true })
  const hops = fc.array(fc.record({ computeMs: ms, queueMs: ms, otherMs: ms, networkMs: ms }), { maxLength: 5 })
  fc.assert(
    fc.property(hops, ms, fc.double({ min: 0, max: 500, noNaN: true }), (hops, clientMs, mean) => {
      const line = explain(
        result({ hops: hops.map(times => ({ ...hop, ...times })), clientMs, stepMs: { n: 2, mean, ...spread } })
      )
      const [total = '', terms = ''] = line.split(';')[0]!.split(' ms = ')
      const sum = terms.split(' + ').reduce((sum, term) => sum + Number.parseFloat(term), 0)
      expect(sum).toBeCloseTo(Number(total), 6)
    })
  )
})
