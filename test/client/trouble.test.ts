import { describe, expect, test } from 'vitest'
import { AndthenError, ManualClock } from '../../src/base/index.ts'
import { Trouble } from '../../src/client/trouble.ts'

const lost = new AndthenError('CONNECTION_LOST', 'gone')
const busy = new AndthenError('BUSY', 'no room')

function troubleOf(waitMs: number) {
  const clock = new ManualClock(5)
  return { clock, trouble: new Trouble({ clock }, { waitMs }) }
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
