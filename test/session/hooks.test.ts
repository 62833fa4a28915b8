import { describe, expect, it } from 'vitest'
import { deferred, settle, setUp } from './fixture.ts'

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
