import { describe, expect, it } from 'vitest'
import { settle, setUp } from './fixture.ts'

describe('cleanup', () => {
  it.each(['END', 'CANCEL', 'ERROR', 'DEADLINE', 'DRAIN'] as const)(
    'after %s the run in flight ends first, then the row is emptied, then lent again',
    async reason => {
      const { table, open, rows } = setUp({ slots: 1 })
      const session = open('a')
      await table.runStarted(session)
      rows.grow(session)
      const next = open('b')
      const gone = table.end(session, reason)
      await settle()
      expect(session.signal.aborted).toBe(true)
      expect(session.state).toBe('terminating')
      expect(next.state).toBe('queued')
      table.runEnded(session)
      await gone
      expect(next.state).toBe('active')
      expect(rows.state.has(next.row!.slot)).toBe(false)
    }
  )

  it('a row that cannot be emptied is never lent again', async () => {
    const { table, open, rows } = setUp({ slots: 2 })
    rows.failRelease = true
    await table.end(open('a'), 'END')
    rows.failRelease = false
    expect(open('b').row?.slot).toBe(1)
    expect(open('c').state).toBe('queued')
    expect(table.statistics()).toMatchObject({ lostRows: 1, freeSlots: 0 })
  })

  it('shutdown with live sequences that may finish: drain', async () => {
    const { table, open, run, told, clock } = setUp({ slots: 2 })
    const finishes = open('a')
    const stays = open('b')
    open('c')
    let drained = false
    const draining = table.drain({ timeoutMs: 1000 }).then(() => {
      drained = true
    })
    expect(() => open('d')).toThrow(expect.objectContaining({ code: 'DRAINING', retryable: true }))
    await run(finishes)
    await table.end(finishes, 'END')
    await settle()
    expect(drained).toBe(false)
    expect(stays.state).toBe('active')
    clock.advance(1000)
    await draining
    expect(told).toEqual(['terminated c DRAIN', 'terminated a END', 'terminated b DRAIN'])
    expect(clock.alarms).toBe(0)
  })

  it('a drain ends as soon as the last session does', async () => {
    const { table, open, clock } = setUp()
    const session = open('a')
    const draining = table.drain({ timeoutMs: 1000 })
    await table.end(session, 'END')
    await draining
    expect(clock.alarms).toBe(0)
  })

  it('10,000 sessions opened and abandoned leave nothing behind, and every hook ran once', async () => {
    const { table, clock, rows, hooked } = setUp({
      slots: 4,
      idleLimitMs: 100,
      backlog: { limit: 100, deadlineMs: 1e6 }
    })
    let opened = 0
    while (opened < 10_000) {
      for (let i = 0; i < 100 && opened < 10_000; i++) {
        table.open({ owner: `client ${opened % 7}`, id: `${opened++}`, maxLength: 8, bytes: 10 })
      }
      while ([...table.sessions].length > 0) {
        clock.advance(100)
        await settle()
      }
    }
    expect(table.statistics()).toMatchObject({ freeSlots: 4, reservedBytes: 0, ended: { IDLE: 10_000 } })
    expect(hooked).toHaveLength(20_000)
    expect(new Set(hooked).size).toBe(20_000)
    expect(rows.state.size).toBe(0)
    expect(clock.alarms).toBe(0)
  })
})
