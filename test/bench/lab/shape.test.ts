import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Lane, type LinkShape } from '../../../src/bench/lab/shape.ts'

const lane = (shape: Partial<LinkShape>, seed = 1) =>
  new Lane({ delayMs: 0, jitterMs: 0, bandwidth: null, ...shape }, seed)

describe('when bytes come out', () => {
  test('without limits: at once', () => {
    expect(lane({}).dueAt(10, 1_000_000, 0, 0)).toBe(10)
  })

  test('a delay does not add up over messages under way together', () => {
    const link = lane({ delayMs: 25 })
    expect([10, 11, 12].map(now => link.dueAt(now, 100, 0, 0))).toEqual([35, 36, 37])
  })

  test('bytes wait for those ahead of them, of any connection: 1250 bytes at 10 Mbit/s are 1 ms', () => {
    const link = lane({ delayMs: 25, bandwidth: 10e6 })
    expect(link.dueAt(0, 1250, 0, 0)).toBe(26)
    expect(link.dueAt(0, 2500, 1, 0)).toBe(28)
    expect(link.dueAt(0, 0, 2, 0)).toBe(28)
  })

  test('an idle link saves no tokens up', () => {
    const link = lane({ bandwidth: 10e6 })
    link.dueAt(0, 1250, 0, 0)
    expect(link.dueAt(1000, 1250, 0, 1250)).toBe(1001)
  })

  test('never faster than the bandwidth, whatever is sent when', () => {
    const sends = fc.array(
      fc.record({ gap: fc.integer({ min: 0, max: 20 }), bytes: fc.integer({ min: 1, max: 100_000 }) })
    )
    fc.assert(
      fc.property(sends, fc.integer(), (messages, seed) => {
        const link = lane({ delayMs: 5, jitterMs: 3, bandwidth: 8e6 }, seed)
        let now = 0
        let total = 0
        for (const { gap, bytes } of messages) {
          now += gap
          total += bytes
          const due = link.dueAt(now, bytes, 0, total)
          expect(due).toBeGreaterThanOrEqual(now + 5 + bytes / 1000 - 1e-6)
          expect(due).toBeGreaterThanOrEqual(5 + total / 1000 - 1e-6)
        }
      })
    )
  })

  test('jitter is between nothing and its bound, and depends on seed, connection and offset alone', () => {
    const times = (link: Lane) => Array.from({ length: 200 }, (_, i) => link.dueAt(i, 10, i % 2, i * 10) - i)
    const first = times(lane({ delayMs: 25, jitterMs: 4 }, 9))
    for (const time of first) expect(time >= 25 && time < 29, `25 <= ${time} < 29`).toBe(true)
    expect(new Set(first).size).toBeGreaterThan(190)
    const disturbed = lane({ delayMs: 25, jitterMs: 4 }, 9)
    disturbed.dueAt(0, 500, 7, 3)
    expect(times(disturbed)).toEqual(first)
    expect(times(lane({ delayMs: 25, jitterMs: 4 }, 10))).not.toEqual(first)
  })

  test('a long message is cut into pieces where a bandwidth paces it: a frame at least, 0.25 ms at most beyond', () => {
    expect(lane({}).pieceBytes).toBe(Number.POSITIVE_INFINITY)
    expect(lane({ bandwidth: 1e6 }).pieceBytes).toBe(1448)
    expect(lane({ bandwidth: 1e9 }).pieceBytes).toBe(31_250)
  })
})
