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

  it('keeps a mebibyte at most', () => {
    const pool = new BufferPool()
    const size = 256 * 1024
    const many = Array.from({ length: 6 }, () => pool.take(size))
    for (const buffer of many) pool.giveBack(buffer)
    const again = Array.from({ length: 6 }, () => pool.take(size))
    expect(again.filter(buffer => many.includes(buffer))).toHaveLength(4)
  })
})
