import { describe, expect, it } from 'vitest'
import { deferred, settle, setUp } from './fixture.ts'

/*
 * Scenarios of Triton's sequence batcher tests, by their names there. START is `open`, END is `end`, READY is a run. The
 * table knows no batching strategy; those that depend on one are in lane.test.ts, for both: half and full batch counts, skip,
 * ragged, queue delay, minimum utilisation, preferred size, preserve ordering, cancellation in the queue, in a run and between
 * chunks, a run that fails, shutdown. The random stress mix is table.property.test.ts, and, for both strategies and over
 * ONNX Runtime's own KV cache, test/inference/server/sessions.property.test.ts. Those that this protocol cannot express:
 *
 * | scenario              | why not                                                                                |
 * | --------------------- | -------------------------------------------------------------------------------------- |
 * | batch over 1 refused  | a step has no batch dimension: one session, one sequence                                |
 * | no id                 | an id is a required field of Open; refused where frames are decoded                     |
 * | id types              | an id is one type, 128 bits in hex; that it is opaque and scoped by owner is tested      |
 * | state growth          | a row has its full size from the start; a step beyond its length is the runtime's to refuse |
 * | END with START        | Open and Close are frames of their own; a one-step sequence is the nearest              |
 * | streaming             | every session is one stream; a lost one is tested as a lost connection                  |
 */

describe('sessions from START to END', () => {
  it('one-step sequence', async () => {
    const { table, open, run, rows, told, hooked } = setUp()
    const session = open('a')
    expect(session.state).toBe('active')
    expect(session.incarnation).toHaveLength(16)
    await run(session)
    expect(table.stateBytes(session)).toBe(1)
    await table.end(session, 'END')
    expect(session.state).toBe('gone')
    expect(hooked).toEqual(['start a', 'evict a END'])
    expect(told).toEqual(['terminated a END'])
    expect(rows.state.size).toBe(0)
    expect(table.statistics()).toMatchObject({ freeSlots: 2, reservedBytes: 0, ended: { END: 1 } })
  })

  it('unknown id without START', () => {
    const { table } = setUp()
    expect(table.find('ann', 'a')).toBeUndefined()
    expect(() => table.resume('ann', 'a', new Uint8Array(16))).toThrow(
      expect.objectContaining({ code: 'UNKNOWN_SESSION' })
    )
  })

  it('id reused after END without START', async () => {
    const { table, open } = setUp()
    const session = open('a')
    await table.end(session, 'END')
    expect(() => table.resume('ann', 'a', session.incarnation!)).toThrow(
      expect.objectContaining({ code: 'SESSION_ENDED', details: { id: 'a', reason: 'END' } })
    )
  })

  it('id reused after END with START is another incarnation of another generation', async () => {
    const { table, open } = setUp()
    const first = open('a')
    await table.end(first, 'END')
    const second = open('a')
    expect(second.incarnation).not.toEqual(first.incarnation)
    expect(second.row).toEqual({ slot: 0, generation: 2 })
    expect(() => table.resume('ann', 'a', first.incarnation ?? new Uint8Array())).toThrow(
      expect.objectContaining({ code: 'UNKNOWN_SESSION' })
    )
  })

  it('no END, then the same id starts: refused without replace', () => {
    const { open } = setUp()
    open('a')
    expect(() => open('a')).toThrow(expect.objectContaining({ code: 'SESSION_EXISTS', retryable: false }))
  })

  it('no END, then the same id starts with replace: the old one is superseded first, its row comes empty', async () => {
    const { open, run, rows, told, hooked } = setUp({ slots: 1, backlog: { limit: 0, deadlineMs: 1000 } })
    const old = open('a')
    await run(old)
    const successor = open('a', { replace: true })
    expect(old.state).toBe('terminating')
    expect(successor.state).toBe('queued')
    await settle()
    expect(successor).toMatchObject({ state: 'active', row: { slot: 0, generation: 2 } })
    expect(hooked).toEqual(['start a', 'evict a SUPERSEDED', 'start a'])
    expect(told).toEqual(['terminated a SUPERSEDED', 'promoted a'])
    expect(rows.state.size).toBe(0)
  })

  it("a live id is its owner's: the same id of another owner is another session", () => {
    const { open, table } = setUp()
    const ann = open('a')
    const bob = open('a', { owner: 'bob', replace: true })
    expect([ann.state, bob.state]).toEqual(['active', 'active'])
    expect(() => table.resume('bob', 'a', ann.incarnation!)).toThrow()
  })

  it('the first reason stands, and a late end is a no-op', async () => {
    const { table, open, told, hooked } = setUp({ slots: 1 })
    const first = open('a')
    const gone = table.end(first, 'CANCEL')
    void table.end(first, 'ERROR')
    await gone
    const second = open('a')
    await table.end(first, 'END')
    expect(second.state).toBe('active')
    expect(told).toEqual(['terminated a CANCEL'])
    expect(hooked).toEqual(['start a', 'evict a CANCEL', 'start a'])
  })

  it('a listener may end the session that it is told of', async () => {
    const { table, open } = setUp()
    const session = open('a')
    session.signal.addEventListener('abort', () => void table.end(session, 'ERROR'))
    await table.end(session, 'END')
    expect(table.statistics().ended).toMatchObject({ END: 1, ERROR: 0 })
  })
})

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

describe('hooks', () => {
  it('the row waits for onEvict, and onEvict for onStart', async () => {
    const started = deferred()
    const evicted = deferred()
    const { table, open, hooked } = setUp(
      { slots: 1 },
      { hooks: { onStart: s => (s.id === 'a' ? started.promise : undefined), onEvict: () => evicted.promise } }
    )
    const a = open('a')
    const b = open('b')
    void table.end(a, 'END')
    await settle()
    expect(hooked).toEqual(['start a'])
    started.resolve()
    await settle()
    expect(hooked).toEqual(['start a', 'evict a END'])
    expect(b.state).toBe('queued')
    evicted.resolve()
    await settle()
    expect(b.state).toBe('active')
  })

  it('the first run waits for onStart', async () => {
    const started = deferred()
    const { table, open } = setUp({}, { hooks: { onStart: () => started.promise } })
    let ran = false
    const running = table.runStarted(open('a')).then(() => {
      ran = true
    })
    await settle()
    expect(ran).toBe(false)
    started.resolve()
    await running
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('no')
      }
    ],
    ['rejects', () => Promise.reject(new Error('no'))],
    ['hangs', () => new Promise<void>(() => undefined)]
  ] as const)('a hook that %s is counted and gives the row back by its deadline', async (_, hook) => {
    const { table, open, clock } = setUp({ slots: 1, hookDeadlineMs: 50 }, { hooks: { onStart: hook, onEvict: hook } })
    const a = open('a')
    const b = open('b')
    void table.end(a, 'END')
    for (let i = 0; i < 2; i++) {
      await settle()
      clock.advance(50)
    }
    await settle()
    expect(a.state).toBe('gone')
    expect(b.state).toBe('active')
    expect(table.statistics().hookFailures).toBeGreaterThanOrEqual(2)
  })
})
