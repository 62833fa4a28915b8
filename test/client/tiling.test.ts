import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Choice, chooseTiling } from '../../src/client/tiling.ts'

const span = (from: number, to: number, ...cost: number[]): Choice => ({ from, to, cost })
const ranges = (spans: readonly { from: number; to: number }[]): string => spans.map(s => `${s.from}-${s.to}`).join(' ')

describe('a tiling', () => {
  test.each<[string, Choice[], string, string]>([
    ['one server of everything', [span(0, 12)], '0-12', ''],
    ['spans in any order', [span(8, 12), span(0, 4), span(4, 8)], '0-4 4-8 8-12', ''],
    ['the fewest servers', [span(0, 4, 1), span(4, 12, 1), span(0, 12, 1)], '0-12', ''],
    ['the cheapest of equals', [span(0, 6, 1, 9), span(0, 6, 1, 2), span(6, 12, 1, 5)], '0-6 6-12', ''],
    ['a gap', [span(0, 2), span(4, 12)], '0-2 4-12', '2-4'],
    ['two gaps', [span(0, 2), span(4, 6), span(8, 12)], '0-2 4-6 8-12', '2-4 6-8'],
    ['nothing at all', [], '', '0-12'],
    ['the ends', [span(2, 10)], '2-10', '0-2 10-12'],
    ['overlapping spans, of which none may be cut', [span(0, 6), span(4, 12)], '4-12', '0-4'],
    ['a span beyond the model', [span(0, 4), span(4, 16)], '0-4', '4-12'],
    ['an empty or reversed span', [span(4, 4), span(8, 2), span(0, 12)], '0-12', '']
  ])('of %s', (_, spans, chosen, missing) => {
    const tiling = chooseTiling(spans, 12)
    expect(ranges(tiling.chosen)).toBe(chosen)
    expect(ranges(tiling.missing)).toBe(missing)
  })

  test('prefers a cost that weighs more, whatever the others are', () => {
    const suspect = span(0, 4, 1, 0)
    const far = span(0, 4, 0, 1000)
    expect(chooseTiling([suspect, far], 4).chosen).toEqual([far])
  })

  const spans = fc.array(
    fc
      .record({ from: fc.nat(7), length: fc.integer({ min: 1, max: 8 }), cost: fc.tuple(fc.nat(3), fc.nat(9)) })
      .map(({ from, length, cost }) => span(from, from + length, ...cost)),
    { maxLength: 9 }
  )

  /** The least cost over all ways to tile, by trying them all; null where there is none. */
  function cheapest(all: readonly Choice[], from: number, blocks: number): readonly [number, number] | null {
    if (from === blocks) return [0, 0]
    let best: readonly [number, number] | null = null
    for (const choice of all) {
      if (choice.from !== from || choice.to > blocks) continue
      const rest = cheapest(all, choice.to, blocks)
      if (rest === null) continue
      const sum = [rest[0] + choice.cost[0]!, rest[1] + choice.cost[1]!] as const
      if (best === null || sum[0] < best[0] || (sum[0] === best[0] && sum[1] < best[1])) best = sum
    }
    return best
  }

  test('is found wherever there is one, and none is cheaper', () => {
    fc.assert(
      fc.property(spans, all => {
        const best = cheapest(all, 0, 8)
        const { chosen, missing } = chooseTiling(all, 8)
        expect(missing.length === 0).toBe(best !== null)
        if (best === null) return
        expect([0, 1].map(i => chosen.reduce((sum, { cost }) => sum + cost[i]!, 0))).toEqual(best)
      }),
      { numRuns: 500 }
    )
  })

  test('with what it says is missing tiles the model exactly, and no fewer blocks would do', () => {
    const missingBlocks = (all: readonly Choice[], from: number): number => {
      if (from === 8) return 0
      const skip = 1 + missingBlocks(all, from + 1)
      return all
        .filter(choice => choice.from === from && choice.to <= 8)
        .reduce((least, choice) => Math.min(least, missingBlocks(all, choice.to)), skip)
    }
    fc.assert(
      fc.property(spans, all => {
        const { chosen, missing } = chooseTiling(all, 8)
        const pieces = [...chosen, ...missing].sort((a, b) => a.from - b.from)
        let at = 0
        for (const piece of pieces) {
          expect(piece.from).toBe(at)
          at = piece.to
        }
        expect(at).toBe(8)
        for (const [i, gap] of missing.entries())
          expect(missing[i + 1]?.from, 'neighbouring gaps are one').not.toBe(gap.to)
        expect(missing.reduce((sum, { from, to }) => sum + to - from, 0)).toBe(missingBlocks(all, 0))
      }),
      { numRuns: 300 }
    )
  })
})
