import { describe, expect, it } from 'vitest'
import { settle, setUp } from './fixture.ts'

/*
 * Scenarios of Triton's sequence batcher tests, by their names there. START is `open`, END is `end`, READY is a run: here
 * from START to END; beside this in cleanup, backlog, leases and hooks.test.ts. The
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
