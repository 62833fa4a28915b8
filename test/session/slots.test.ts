import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SlotPool } from '../../src/session/slots.ts'

describe('SlotPool', () => {
  it('lends the lowest free slot', () => {
    const pool = new SlotPool(3)
    const rows = [pool.take(), pool.take(), pool.take()]
    expect(rows.map(row => row?.slot)).toEqual([0, 1, 2])
    expect(pool.take()).toBeUndefined()
    pool.release(rows[2]!)
    pool.release(rows[0]!)
    expect(pool.take()).toEqual({ slot: 0, generation: 2 })
  })

  it('a late release with an old generation is a no-op', () => {
    const pool = new SlotPool(1)
    const old = pool.take()!
    expect(pool.release(old)).toBe(true)
    const current = pool.take()!
    expect(pool.release(old)).toBe(false)
    expect(pool.free).toBe(0)
    expect(pool.release(current)).toBe(true)
    expect(pool.release(current)).toBe(false)
  })

  it('never lends a slot twice, and no generation twice', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -1, max: 9 })), moves => {
        const pool = new SlotPool(4)
        const lent = new Map<number, { slot: number; generation: number }>()
        const seen = new Set<string>()
        for (const move of moves) {
          const row = move < 0 ? pool.take() : undefined
          if (row !== undefined) {
            expect(lent.has(row.slot)).toBe(false)
            expect(seen.has(`${row.slot}/${row.generation}`)).toBe(false)
            seen.add(`${row.slot}/${row.generation}`)
            lent.set(row.slot, row)
          }
          const back = lent.get(move)
          if (back !== undefined && pool.release(back)) lent.delete(move)
          expect(pool.free).toBe(4 - lent.size)
        }
      })
    )
  })
})
