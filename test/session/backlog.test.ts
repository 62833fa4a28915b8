import { describe, expect, it } from 'vitest'
import { settle, setUp } from './fixture.ts'

describe('backlog', () => {
  it('backlog fill: rows are lent lowest first, the rest waits in order', async () => {
    const { table, open, told } = setUp()
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(id => open(id))
    expect([a, b].map(session => session?.row?.slot)).toEqual([0, 1])
    expect([c, d].map(session => table.place(session!))).toEqual([0, 1])
    await table.end(b!, 'END')
    expect(c?.row?.slot).toBe(1)
    expect(table.place(d!)).toBe(0)
    await settle()
    expect(told).toEqual(['terminated b END', 'promoted c'])
  })

  it('backlog fill without END: the reaper promotes the backlog, and the late request fails', async () => {
    const { table, open, run, clock, told } = setUp({ slots: 1, idleLimitMs: 100 })
    const a = open('a')
    const b = open('b')
    clock.advance(100)
    await settle()
    expect(told).toEqual(['terminated a IDLE', 'promoted b'])
    expect(b.state).toBe('active')
    await expect(run(a)).rejects.toMatchObject({ code: 'SESSION_ENDED', details: { reason: 'IDLE' } })
    expect(() => table.resume('ann', 'a', a.incarnation!)).toThrow(expect.objectContaining({ code: 'SESSION_ENDED' }))
  })

  it('a promoted session starts with a full lease', async () => {
    const { open, clock, table } = setUp({ slots: 1, idleLimitMs: 100 })
    const a = open('a')
    const b = open('b')
    clock.advance(90)
    await table.end(a, 'END')
    clock.advance(99)
    expect(b.state).toBe('active')
    clock.advance(1)
    expect(b.state).toBe('terminating')
    expect(table.statistics().backlogWait).toEqual({ count: 1, totalMs: 90, longestMs: 90 })
  })

  it('same id in backlog: refused, or with replace in the same place', () => {
    const { table, open } = setUp({ slots: 1 })
    open('a')
    const first = open('b')
    open('c')
    expect(() => open('b')).toThrow(expect.objectContaining({ code: 'SESSION_EXISTS' }))
    const second = open('b', { replace: true })
    expect(first.state).not.toBe('queued')
    expect(table.place(second)).toBe(0)
  })

  it('request timeout in backlog rejects that sequence only; a request after it is untracked', async () => {
    const { table, open, clock, told, hooked } = setUp({ slots: 1, backlog: { limit: 4, deadlineMs: 100 } })
    const a = open('a')
    const b = open('b')
    clock.advance(50)
    const c = open('c')
    clock.advance(50)
    await settle()
    expect([a, b, c].map(session => session.state)).toEqual(['active', 'gone', 'queued'])
    expect(told).toEqual(['terminated b DEADLINE'])
    expect(hooked).toEqual(['start a'])
    await expect(table.runStarted(b)).rejects.toMatchObject({ code: 'SESSION_ENDED' })
  })

  it('a full backlog refuses with a time to try again, from how long leases have lasted', async () => {
    const { table, open, clock } = setUp({ slots: 1, backlog: { limit: 1, deadlineMs: 1e6 } })
    const a = open('a')
    clock.advance(5000)
    await table.end(a, 'END')
    open('b')
    open('c')
    expect(() => open('d')).toThrow(
      expect.objectContaining({ code: 'BUSY', retryable: true, details: { retryAfterMs: 10_000 } })
    )
    expect(table.statistics()).toMatchObject({ refused: 1, sessions: { queued: 1, active: 1 } })
  })

  it('higher priority goes first, equal ones in order', () => {
    const { table, open } = setUp({ slots: 1 })
    open('a')
    const queued = [0, 1, 0, 1].map((priority, i) => open(`q${i}`, { priority }))
    expect(queued.map(session => table.place(session))).toEqual([2, 0, 3, 1])
  })

  it('memory is a limit like rows are, and what can never fit is refused for good', () => {
    const { open } = setUp({ slots: 4, memoryBytes: 25 })
    expect(['a', 'b', 'c'].map(id => open(id).state)).toEqual(['active', 'active', 'queued'])
    expect(() => open('d', { bytes: 26 })).toThrow(
      expect.objectContaining({ code: 'SESSION_TOO_LARGE', retryable: false })
    )
  })

  it('cancellation in backlog: no hooks, the place is free', async () => {
    const { table, open, hooked } = setUp({ slots: 1 })
    open('a')
    const b = open('b')
    const c = open('c')
    await table.end(b, 'CANCEL')
    expect(table.place(c)).toBe(0)
    expect(hooked).toEqual(['start a'])
  })

  it('a queued session whose connection is lost ends at once: there is nothing to resume', () => {
    const { table, open, told } = setUp({ slots: 1 })
    open('a')
    const b = open('b')
    table.connectionLost(b, b.connection)
    expect(told).toEqual(['terminated b DISCONNECT'])
  })
})
