import { describe, expect, it } from 'vitest'
import { Turns } from '../../src/session/turns.ts'

describe('a turn', () => {
  it('is as long as it may be until it is known what moving takes', () => {
    expect(new Turns({ longestMs: 1000, follows: false }).lengthMs).toBe(1000)
  })

  it.each([
    { moveMs: 0, lengthMs: 0 },
    { moveMs: 2, lengthMs: 80 },
    { moveMs: 25, lengthMs: 1000 },
    { moveMs: 125, lengthMs: 1000 },
    { moveMs: 250, lengthMs: 2000 }
  ])(
    'is twenty times a swap, beyond its bound four times, where a move takes $moveMs ms: $lengthMs ms',
    ({ moveMs, lengthMs }) => {
      const turns = new Turns({ longestMs: 1000, follows: false })
      turns.moved(moveMs)
      expect(turns.lengthMs).toBe(lengthMs)
    }
  )

  it('changes little for one move that took long', () => {
    const turns = new Turns({ longestMs: 1000, follows: false })
    turns.moved(2)
    turns.moved(12)
    expect(turns.lengthMs).toBe(160)
  })

  it('is not held on to where another server says whose it is', () => {
    const turns = new Turns({ longestMs: 1000, follows: true })
    expect(turns.lengthMs).toBe(0)
    turns.moved(5)
    expect(turns.lengthMs).toBe(0)
  })
})
