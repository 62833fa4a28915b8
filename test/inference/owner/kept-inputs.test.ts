import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KeptInputs } from '../../../src/inference/owner/index.ts'

const rowBytes = 4096

const operation = fc.oneof(
  fc.record({ kind: fc.constant('reserve' as const), n: fc.integer({ min: 1, max: 400 }) }),
  fc.record({ kind: fc.constant('truncate' as const), length: fc.nat(1000) })
)

describe('kept inputs', () => {
  test('are read back as they were written, whatever was cut off between', () => {
    const reading = fc.record({ from: fc.nat(1000), to: fc.nat(1000), maxTokens: fc.integer({ min: 1, max: 300 }) })
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 12 }), reading, (operations, { from, to, maxTokens }) => {
        const kept = new KeptInputs(rowBytes)
        const expected: number[] = []
        let written = 0
        for (const op of operations) {
          if (op.kind === 'truncate') {
            kept.truncate(op.length)
            expected.length = Math.min(expected.length, op.length)
            continue
          }
          const memory = kept.reserve(op.n)
          expect(memory).toHaveLength(op.n * rowBytes)
          for (let i = 0; i < op.n; i++) {
            memory[i * rowBytes] = ++written % 251
            expected.push(written % 251)
          }
        }
        expect(kept.length).toBe(expected.length)
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

  test('never give memory out twice: what was cut off may still be on its way', () => {
    const kept = new KeptInputs(rowBytes)
    const before = kept.reserve(10)
    kept.truncate(4)
    kept.reserve(6).fill(1)
    expect(before.every(byte => byte === 0)).toBe(true)
    expect(kept.length).toBe(10)
  })

  test('stay where they are as more come: a run is a view, not a copy', () => {
    const kept = new KeptInputs(rowBytes)
    const memory = kept.reserve(2)
    const [run] = [...kept.runs(0, 2, 2)]
    kept.reserve(5000)
    memory[0] = 42
    expect(run?.bytes[0]).toBe(42)
  })
})
