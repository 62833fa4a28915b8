import { describe, expect, it } from 'vitest'
import { setUp } from './fixture.ts'

describe('leases', () => {
  it('frames and runs of the owner renew; idle counts from completion, never during a run', async () => {
    const { table, open, clock } = setUp({ idleLimitMs: 100 })
    const session = open('a')
    clock.advance(99)
    table.touch(session)
    clock.advance(99)
    await table.runStarted(session)
    clock.advance(500)
    expect(session.state).toBe('active')
    expect(table.idleMs(session)).toBe(0)
    table.runEnded(session)
    clock.advance(99)
    expect(table.idleMs(session)).toBe(99)
    expect(session.state).toBe('active')
    clock.advance(1)
    expect(session.state).toBe('terminating')
  })

  it('an idle limit of 0 never ends a session', () => {
    const { open, clock } = setUp({ idleLimitMs: 0 })
    const session = open('a')
    clock.advance(1e9)
    expect(session.state).toBe('active')
    expect(clock.alarms).toBe(0)
  })

  it('a lost connection starts the grace; the owner resumes within it', () => {
    const { table, open, clock } = setUp({ graceMs: 100 })
    const session = open('a')
    table.connectionLost(session, 1)
    clock.advance(99)
    expect(table.resume('ann', 'a', session.incarnation!)).toBe(session)
    clock.advance(1000)
    expect(session.state).toBe('active')
  })

  it('after the grace the session ends, its run is aborted, and resuming says why', async () => {
    const { table, open, clock, told } = setUp({ graceMs: 100 })
    const session = open('a')
    await table.runStarted(session)
    table.connectionLost(session, 1)
    clock.advance(100)
    expect(session.signal.aborted).toBe(true)
    expect(told).toEqual(['terminated a DISCONNECT'])
    expect(() => table.resume('ann', 'a', session.incarnation!)).toThrow(
      expect.objectContaining({ details: { id: 'a', reason: 'DISCONNECT' } })
    )
    table.runEnded(session)
  })

  it('a stream that was replaced has no say: its late loss starts no grace', () => {
    const { table, open, clock } = setUp({ graceMs: 100 })
    const session = open('a')
    const old = session.connection
    table.resume('ann', 'a', session.incarnation!)
    table.connectionLost(session, old)
    clock.advance(1000)
    expect(session.state).toBe('active')
  })

  it('nobody resumes with another incarnation, or as another owner', () => {
    const { table, open } = setUp()
    const session = open('a')
    expect(() => table.resume('ann', 'a', new Uint8Array(16))).toThrow()
    expect(() => table.resume('bob', 'a', session.incarnation!)).toThrow()
    expect(session.connection).toBe(1)
  })
})
