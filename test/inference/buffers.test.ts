import { describe, expect, it } from 'vitest'
import { BufferPool } from '../../src/inference/buffers.ts'

describe('the buffer pool', () => {
  it('shows the same memory as floats and as bytes', () => {
    const { states, bytes } = new BufferPool().take(8)
    states[1] = 1
    expect([...bytes]).toEqual([0, 0, 0, 0, 0, 0, 128, 63])
  })

  it('hands a buffer out again, to one at a time and of its size only', () => {
    const pool = new BufferPool()
    const first = pool.take(16)
    pool.giveBack(first)
    expect(pool.take(32)).not.toBe(first)
    expect(pool.take(16)).toBe(first)
    expect(pool.take(16)).not.toBe(first)
  })

  it('keeps 8 of a size at most, and no large ones', () => {
    const pool = new BufferPool()
    const many = Array.from({ length: 10 }, () => pool.take(16))
    for (const buffer of many) pool.giveBack(buffer)
    const again = Array.from({ length: 10 }, () => pool.take(16))
    expect(again.filter(buffer => many.includes(buffer))).toHaveLength(8)
    const large = pool.take(256 * 1024 + 4)
    pool.giveBack(large)
    expect(pool.take(256 * 1024 + 4)).not.toBe(large)
  })
})
