import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KeptInputs } from '../../../src/inference/owner/index.ts'

const rowBytes = 4096

const reservation = fc.record({ n: fc.integer({ min: 1, max: 400 }), kept: fc.boolean() })

describe('kept inputs', () => {
  test('are read back as they were written, whatever came to nothing between', () => {
    const reading = fc.record({ from: fc.nat(1000), to: fc.nat(1000), maxTokens: fc.integer({ min: 1, max: 300 }) })
    fc.assert(
      fc.property(fc.array(reservation, { maxLength: 12 }), reading, (reservations, { from, to, maxTokens }) => {
        const kept = new KeptInputs(rowBytes)
        const expected: number[] = []
        let written = 0
        for (const { n, kept: isKept } of reservations) {
          const memory = kept.reserve(n)
          expect(memory).toHaveLength(n * rowBytes)
          for (let i = 0; i < n; i++) {
            memory[i * rowBytes] = ++written % 251
            if (isKept) expected.push(written % 251)
          }
          if (isKept) kept.keep(memory)
          expect(kept.length, 'what is only reserved does not count').toBe(expected.length)
        }
        const read: number[] = []
        let position = from
        for (const run of kept.runs(from, to, maxTokens)) {
          expect(run.position, 'runs follow each other').toBe(position)
          expect(run.n).toBeLessThanOrEqual(maxTokens)
          expect(run.bytes).toHaveLength(run.n * rowBytes)
          for (let i = 0; i < run.n; i++) read.push(run.bytes[i * rowBytes]!)
          position += run.n
        }
        expect(read).toEqual(expected.slice(from, Math.max(from, to)))
      }),
      { numRuns: 60 }
    )
  })

  test('never give memory out twice: what came to nothing may still be on its way', () => {
    const kept = new KeptInputs(rowBytes)
    const lost = kept.reserve(10)
    const memory = kept.reserve(6)
    memory.fill(1)
    kept.keep(memory)
    expect(lost.every(byte => byte === 0)).toBe(true)
    expect([...kept.runs(0, 10, 10)].map(({ position, n }) => [position, n])).toEqual([[0, 6]])
  })

  test('that were reserved one after the other are one run', () => {
    const kept = new KeptInputs(rowBytes)
    for (const n of [3, 1, 1]) kept.keep(kept.reserve(n))
    expect([...kept.runs(0, 5, 10)].map(({ n }) => n)).toEqual([5])
  })

  test('stay where they are as more come: a run is a view, not a copy', () => {
    const kept = new KeptInputs(rowBytes)
    const memory = kept.reserve(2)
    kept.keep(memory)
    const [run] = [...kept.runs(0, 2, 2)]
    kept.reserve(5000)
    memory[0] = 42
    expect(run?.bytes[0]).toBe(42)
  })
})
