import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AndthenError, ManualClock } from '../../src/base/index.ts'
import { Trouble } from '../../src/client/trouble.ts'

const lost = new AndthenError('CONNECTION_LOST', 'gone')
const busy = new AndthenError('BUSY', 'no room')

function troubleOf(waitMs: number, random = () => 0.5) {
  const clock = new ManualClock(5)
  return { clock, trouble: new Trouble({ clock, random }, { waitMs }) }
}

describe('patience', () => {
  test('begins with the first loss, and is over when so much time has passed', () => {
    const { clock, trouble } = troubleOf(1000)
    clock.advance(5000)
    trouble.failed(lost)
    clock.advance(600)
    trouble.failed(lost)
    expect([trouble.spentMs, trouble.leftMs, trouble.isPatienceOver]).toEqual([600, 400, false])
    clock.advance(400)
    expect([trouble.leftMs, trouble.isPatienceOver]).toEqual([0, true])
    expect(trouble.failure).toBe(lost)
  })

  test.each<[string, (trouble: Trouble) => void]>([
    ['something comes of it', trouble => trouble.progress()],
    ['the server is there, and has no room', trouble => trouble.full(busy)],
    ['a pass is done', trouble => trouble.over()]
  ])('begins anew where %s', (_, happens) => {
    const { clock, trouble } = troubleOf(1000)
    trouble.failed(lost)
    clock.advance(900)
    happens(trouble)
    clock.advance(900)
    trouble.failed(lost)
    expect(trouble.leftMs).toBe(1000)
  })

  test('of none leaves a second attempt', () => {
    const { trouble } = troubleOf(0)
    trouble.failed(lost)
    expect(trouble.isPatienceOver).toBe(false)
    trouble.failed(lost)
    expect(trouble.isPatienceOver).toBe(true)
  })
})

describe('servers that are lost again and again', () => {
  test('though something comes of it each time, within one pass: after 16 times there is no hope', () => {
    const { trouble } = troubleOf(1000)
    for (let time = 0; time < 16; time++) {
      trouble.failed(lost)
      trouble.progress()
    }
    expect(trouble.isHopeless).toBe(false)
    trouble.failed(lost)
    expect(trouble.isHopeless).toBe(true)
  })

  test('while passes are done, or one after the other: patience alone decides', () => {
    const { trouble } = troubleOf(1000)
    for (let time = 0; time < 100; time++) {
      trouble.failed(lost)
      trouble.over()
    }
    expect([trouble.isHopeless, trouble.failure]).toEqual([false, null])
    for (let time = 0; time < 100; time++) trouble.failed(lost)
    expect(trouble.isHopeless).toBe(false)
  })
})

describe('a replay that is interrupted, by a server that is there', () => {
  const waitsOf = (trouble: Trouble, count: number): number[] =>
    Array.from({ length: count }, () => trouble.interrupted(lost))

  test('goes on at once, then after twice as long each time while nothing comes of it, up to 1 s', () => {
    const { trouble } = troubleOf(60_000)
    expect(waitsOf(trouble, 8)).toEqual([0, 100, 200, 400, 800, 1000, 1000, 1000])
  })

  test.each<[string, (trouble: Trouble) => void]>([
    ['something comes of it', trouble => trouble.progress()],
    ['a pass is done', trouble => trouble.over()]
  ])('goes on at once again where %s', (_, happens) => {
    const { trouble } = troubleOf(60_000)
    waitsOf(trouble, 5)
    happens(trouble)
    expect(waitsOf(trouble, 3)).toEqual([0, 100, 200])
  })

  test('is never tried again in a storm, nor waited for beyond patience, whatever comes between', () => {
    const happening = fc.record({
      afterMs: fc.nat(2_000),
      random: fc.double({ min: 0, max: 1, noNaN: true }),
      lost: fc.boolean()
    })
    const given = fc.record({ waitMs: fc.nat(120_000), happenings: fc.infiniteStream(happening) })
    fc.assert(
      fc.property(given, ({ waitMs, happenings }) => {
        let random = 0
        const { clock, trouble } = troubleOf(waitMs, () => random)
        let attempts = 0
        for (const each of happenings) {
          random = each.random
          if (each.lost) trouble.failed(lost)
          if (trouble.isPatienceOver) break
          const pauseMs = trouble.interrupted(lost)
          attempts++
          expect(pauseMs).toBeLessThanOrEqual(Math.min(waitMs, 1_500))
          clock.advance(pauseMs + each.afterMs * (attempts % 2))
          if (trouble.isPatienceOver) break
        }
        expect(clock.now() - 5, 'it ends in time').toBeLessThanOrEqual(waitMs + 4_000)
        // The first is free, four are sooner, and the rest are half a second apart at the least.
        expect(attempts).toBeLessThanOrEqual(8 + waitMs / 500)
      })
    )
  })
})
