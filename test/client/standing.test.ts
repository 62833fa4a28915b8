import { describe, expect, test } from 'vitest'
import { AndthenError, ManualClock, TimeoutError } from '../../src/base/index.ts'
import { Standing } from '../../src/client/standing.ts'

const minute = 60_000
const lost = new AndthenError('CONNECTION_LOST', 'gone')
const late = new TimeoutError('step', 30_000)

describe('what is held against a server', () => {
  test('a lost connection is forgiven once: it is used again where no other will do', () => {
    const standing = new Standing({ clock: new ManualClock(), random: () => 0.5 })
    expect(standing.isSuspect('a')).toBe(false)
    standing.failed('a', lost)
    expect([standing.isExcluded('a'), standing.isSuspect('a')]).toEqual([false, true])
    standing.failed('a', lost)
    expect(standing.isExcluded('a')).toBe(true)
  })

  test('what failed otherwise is left alone for a minute', () => {
    const clock = new ManualClock()
    const standing = new Standing({ clock, random: () => 0.5 })
    standing.failed('a', late)
    expect(standing.isExcluded('a')).toBe(true)
    expect(standing.isExcluded('b')).toBe(false)
    clock.advance(minute)
    expect([standing.isExcluded('a'), standing.isSuspect('a')]).toEqual([false, true])
  })

  test('a mismatch makes the client relay between these two, in this order', () => {
    const standing = new Standing({ clock: new ManualClock(), random: () => 0.5 })
    standing.mismatch('a', 'b')
    expect(standing.isRelayed('a', 'b')).toBe(true)
    expect(standing.isRelayed('b', 'a')).toBe(false)
    expect([standing.isSuspect('a'), standing.isSuspect('b')]).toEqual([false, false])
  })

  test('who was there at two mismatches is replaced, not those who were there at one', () => {
    const standing = new Standing({ clock: new ManualClock(), random: () => 0.5 })
    standing.mismatch('a', 'b')
    standing.mismatch('b', 'c')
    expect(['a', 'b', 'c'].map(peer => standing.isSuspect(peer))).toEqual([false, true, false])
  })

  test('a proof takes a server its neighbours for good', () => {
    const clock = new ManualClock()
    const standing = new Standing({ clock, random: () => 0.5 })
    standing.ban('a')
    clock.advance(1000 * minute)
    expect(standing.isBanned('a')).toBe(true)
    expect([standing.isRelayed('a', 'b'), standing.isRelayed('b', 'a'), standing.isRelayed('b', 'c')]).toEqual([
      true,
      true,
      false
    ])
    expect(standing.isBanned('b')).toBe(false)
  })
})
