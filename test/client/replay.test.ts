import { describe, expect, test } from 'vitest'
import { rewindLengths } from '../../src/client/replay.ts'

const spans = [
  { from: 0, to: 4 },
  { from: 4, to: 8 },
  { from: 8, to: 12 }
]

describe('the length that each server is cut back to', () => {
  test.each<[string, Record<number, number>, number[]]>([
    ['is the position where all inputs were kept', { 4: 50, 8: 50 }, [50, 50, 50]],
    ['is not beyond it', { 4: 60, 8: 70 }, [50, 50, 50]],
    ['is 0 before a boundary that the chain never had', { 4: 0, 8: 50 }, [0, 50, 50]],
    ['is where keeping stopped before a boundary of an earlier chain', { 4: 50, 8: 20 }, [50, 20, 50]]
  ])('%s', (_, kept, lengths) => {
    expect(rewindLengths(spans, 50, block => kept[block] ?? 0)).toEqual(lengths)
  })
})
