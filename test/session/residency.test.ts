import { describe, expect, it } from 'vitest'
import { deferred, FakeParking, settle, setUp } from './fixture.ts'

const parkable = { slots: 1, maxSessions: 3, residenceMs: 100, idleLimitMs: 0 }

describe('pressure', () => {
  it('the least recently used is parked for a newcomer, and comes back with its state at its next run', async () => {
    const parking = new FakeParking()
    const { table, open, run, clock, rows } = setUp({ ...parkable, slots: 2 }, { parking })
    const a = open('a')
    const b = open('b')
    await run(a)
    clock.advance(100)
    await run(b)
    const c = open('c')
    await settle()
    expect([a, b, c].map(session => session.state)).toEqual(['parked', 'active', 'active'])
    expect([table.stateBytes(a), a.row, c.row?.slot]).toEqual([1, undefined, 0])
    clock.advance(100)
    await table.runStarted(a)
    expect(rows.grow(a)).toBe('aa')
    table.runEnded(a)
    expect(b.state).toBe('parked')
    expect(parking.states.size).toBe(1)
    expect(table.statistics()).toMatchObject({ parkings: 2, unparkings: 1, sessions: { active: 2, parked: 1 } })
  })

  it('a row stays with its session for a while, so that sessions that outnumber the rows take turns', async () => {
    const { open, clock } = setUp(parkable, { parking: new FakeParking() })
    const a = open('a')
    const b = open('b')
    clock.advance(99)
    await settle()
    expect([a.state, b.state]).toEqual(['active', 'queued'])
    clock.advance(1)
    await settle()
    expect([a.state, b.state]).toEqual(['parked', 'active'])
    expect(clock.alarms).toBe(0)
  })

  it('where another server comes first, who had no run for the longest gives way at once; frames are no use of a row', async () => {
    const { table, open, run, clock } = setUp({ ...parkable, slots: 2, follows: true }, { parking: new FakeParking() })
    const [a, b] = [open('a'), open('b')]
    await run(b)
    clock.advance(1)
    await run(a)
    clock.advance(1)
    table.touch(b)
    const c = open('c')
    await settle()
    expect([a.state, b.state, c.state]).toEqual(['active', 'parked', 'active'])
  })

  it('a session with a run in flight is never chosen; once the run ends it may be', async () => {
    const { table, open, clock } = setUp(parkable, { parking: new FakeParking() })
    const a = open('a')
    await table.runStarted(a)
    const b = open('b', { priority: 9 })
    clock.advance(1000)
    await settle()
    expect(b.state).toBe('queued')
    table.runEnded(a)
    await settle()
    expect(b.state).toBe('active')
  })

  it('no session is parked for one that is less important', async () => {
    const { open, clock } = setUp(parkable, { parking: new FakeParking() })
    const a = open('a', { priority: 1 })
    const b = open('b')
    clock.advance(1000)
    await settle()
    expect([a.state, b.state]).toEqual(['active', 'queued'])
  })

  it.each([
    { name: 'without a parking lot', parking: undefined },
    { name: 'when the parking lot is full', parking: new FakeParking(-1) }
  ])('$name only a less important session loses its state', async ({ parking }) => {
    const { open, clock, told } = setUp(parkable, parking === undefined ? {} : { parking })
    const a = open('a')
    const equal = open('b')
    await settle()
    clock.advance(1000)
    expect([a.state, equal.state]).toEqual(['active', 'queued'])
    const above = open('c', { priority: 1 })
    await settle()
    expect([a.state, equal.state, above.state]).toEqual(['gone', 'queued', 'active'])
    expect(told).toEqual(['terminated a PRESSURE', 'promoted c'])
  })

  it('where sessions are the limit, not rows, a parked one may be the victim', async () => {
    const { open, clock, told } = setUp({ ...parkable, maxSessions: 2 }, { parking: new FakeParking() })
    const a = open('a')
    open('b', { priority: 1 })
    clock.advance(100)
    await settle()
    expect(a.state).toBe('parked')
    open('c', { priority: 1 })
    await settle()
    // Moving took no time on this clock, so that a turn takes none.
    expect(told).toEqual(['promoted b', 'terminated a PRESSURE', 'promoted c'])
  })

  it('a more important session does not wait for a turn, and the row is parked, not lost', async () => {
    const { open } = setUp(parkable, { parking: new FakeParking() })
    const a = open('a')
    const b = open('b', { priority: 1 })
    await settle()
    expect([a.state, b.state]).toEqual(['parked', 'active'])
  })

  it('a parking lot that fails is not tried again and again', async () => {
    const parking = new FakeParking()
    let tries = 0
    parking.put = () => {
      tries++
      return Promise.reject(new Error('the disk is gone'))
    }
    const { open, clock } = setUp(parkable, { parking })
    const a = open('a')
    const b = open('b')
    await settle()
    clock.advance(100)
    await settle()
    expect(tries).toBe(1)
    expect([a.state, b.state]).toEqual(['active', 'queued'])
    clock.advance(100)
    await settle()
    expect(tries).toBe(2)
  })

  it('who waits for another to end keeps nobody from a row who has a place', async () => {
    const { table, open, run, clock } = setUp({ ...parkable, maxSessions: 2 }, { parking: new FakeParking() })
    const [a, b] = [open('a'), open('b')]
    clock.advance(100)
    await settle()
    const newcomer = open('c')
    for (const session of [a, b, a]) await run(session)
    expect([a.state, b.state, newcomer.state]).toEqual(['active', 'parked', 'queued'])
    await table.end(b, 'END')
    await settle()
    expect(newcomer.state).toBe('active')
  })

  it('one newcomer costs one less important session its place, however long that takes to end', async () => {
    const evicting = deferred()
    const hooks = { onEvict: () => evicting.promise }
    const { table, open, run } = setUp({ ...parkable, slots: 2, maxSessions: 2 }, { parking: new FakeParking(), hooks })
    const [a, b] = [open('a'), open('b')]
    await settle()
    const c = open('c', { priority: 1 })
    await run(b)
    expect([a.state, b.state, c.state]).toEqual(['terminating', 'active', 'queued'])
    evicting.resolve()
    await settle()
    expect([b.state, c.state]).toEqual(['active', 'active'])
    expect(table.statistics().ended.PRESSURE).toBe(1)
  })

  it('one newcomer costs one session its row', async () => {
    const { open, clock } = setUp({ ...parkable, slots: 3, maxSessions: 9 }, { parking: new FakeParking() })
    const old = ['a', 'b', 'c'].map(id => open(id))
    await settle()
    clock.advance(100)
    open('d')
    open('d', { replace: true })
    await settle()
    expect(old.filter(session => session.state === 'parked')).toHaveLength(1)
  })
})

describe('parked sessions', () => {
  const park = async (parking: FakeParking) => {
    const fixture = setUp(parkable, { parking })
    const a = fixture.open('a')
    await fixture.run(a)
    fixture.clock.advance(100)
    const b = fixture.open('b')
    await settle()
    expect(a.state).toBe('parked')
    return { ...fixture, a, b }
  }

  it('keep their incarnation, and are resumed like others', async () => {
    const { table, a } = await park(new FakeParking())
    expect(table.resume('ann', 'a', a.incarnation!)).toBe(a)
  })

  it('end like others, and leave nothing in the parking lot', async () => {
    const parking = new FakeParking()
    const { table, a, hooked } = await park(parking)
    await table.end(a, 'END')
    expect(parking.states.size).toBe(0)
    expect(hooked).toEqual(['start a', 'start b', 'evict a END'])
  })

  it('end with ERROR when their state does not come back, and the run is told', async () => {
    const parking = new FakeParking()
    const { run, a, b, table, told } = await park(parking)
    parking.states.clear()
    await table.end(b, 'END')
    await expect(run(a)).rejects.toMatchObject({ code: 'SESSION_ENDED' })
    await settle()
    expect(told).toContain('terminated a ERROR')
    expect(table.statistics()).toMatchObject({ sessions: { parked: 0, terminating: 0 }, freeSlots: 1 })
  })

  it('that wait for a row when they end wake the run that waits', async () => {
    const { table, run, a, b } = await park(new FakeParking())
    await table.runStarted(b)
    const running = run(a)
    await settle()
    void table.end(a, 'CANCEL')
    await expect(running).rejects.toMatchObject({ code: 'SESSION_ENDED', details: { reason: 'CANCEL' } })
    expect(a.state).toBe('gone')
  })

  it('that are wanted while they are being saved give way all the same, or a long save would never end', async () => {
    const { table, open, run, clock, rows } = setUp(parkable, { parking: new FakeParking() })
    const a = open('a')
    await run(a)
    clock.advance(100)
    const b = open('b')
    const back = table.runStarted(a)
    await table.runStarted(b)
    expect([a.state, a.runs]).toEqual(['parked', 1])
    table.runEnded(b)
    await back
    expect(rows.grow(a)).toBe('aa')
  })
})
