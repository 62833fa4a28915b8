import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AndthenError, CancelledError, ManualClock, TimeoutError } from '../../src/base/index.ts'
import { Asking, askPatiently } from '../../src/client/asking.ts'
import { ConnectionLostError, PeerUnreachableError, type UnreachableReason } from '../../src/network/index.ts'
import { ProtocolNotSupportedError } from '../../src/network/errors.ts'

const second = 1_000
const lost = new ConnectionLostError('server', 'it was too busy')
const unreachable = (reason: UnreachableReason) => new PeerUnreachableError('server', [], reason)

describe('a peer that could not be asked', () => {
  test('is asked again after a quarter of a second, and then after twice as long each time, up to 4 s', () => {
    const asking = new Asking({ clock: new ManualClock(), random: () => 0.5 }, { timeoutMs: 60 * second })
    const waits = Array.from({ length: 7 }, () => asking.failed(lost))
    expect(waits).toEqual([250, 500, 1000, 2000, 4000, 4000, 4000])
  })

  test.each<[string, AndthenError, boolean]>([
    ['hangs up', unreachable('closed'), true],
    ['does not shake hands in time', unreachable('timeout'), true],
    ['is behind a relay that is not there', unreachable('relay'), true],
    ['is lost', lost, true],
    ['does not say it in time', new TimeoutError('info', 5), true],
    ['is a port where nobody listens', unreachable('refused'), false],
    ['is in a network that this machine does not get to', unreachable('no-route'), false],
    ['is no andthen node, or of another swarm', unreachable('failed'), false],
    ['is somebody else', unreachable('wrong-peer'), false],
    ['is not to be dialled', unreachable('denied'), false],
    ['speaks another protocol', new ProtocolNotSupportedError('server', '/x'), false],
    ['says what is no answer', new AndthenError('FRAME_MALFORMED', 'nonsense'), false]
  ])('and %s: whether it is asked again', (_, error, again) => {
    const asking = new Asking({ clock: new ManualClock(), random: () => 0.5 }, { timeoutMs: 10 * second })
    expect(asking.failed(error) !== null).toBe(again)
  })

  test('is never asked in a storm, nor when time is over, however soon and by whatever chance each attempt fails', () => {
    const attempt = fc.record({ tookMs: fc.nat(3 * second), random: fc.double({ min: 0, max: 1, noNaN: true }) })
    const given = fc.record({
      timeoutMs: fc.integer({ min: 1, max: 300 * second }),
      attempts: fc.infiniteStream(attempt)
    })
    fc.assert(
      fc.property(given, ({ timeoutMs, attempts }) => {
        const clock = new ManualClock(7)
        let random = 0
        const asking = new Asking({ clock, random: () => random }, { timeoutMs })
        let count = 0
        for (const each of attempts) {
          count++
          expect(clock.now()).toBeLessThan(7 + timeoutMs)
          expect(asking.leftMs).toBeGreaterThanOrEqual(1)
          random = each.random
          clock.advance(each.tookMs)
          const waitMs = asking.failed(lost)
          if (waitMs === null) break
          expect(waitMs).toBeGreaterThanOrEqual(125)
          expect(waitMs).toBeLessThanOrEqual(6 * second)
          clock.advance(waitMs)
        }
        // Four that are sooner, and one each two seconds.
        expect(count).toBeLessThanOrEqual(6 + timeoutMs / (2 * second))
      })
    )
  })
})

describe('asking', () => {
  /** Each attempt ends as `outcomes` say, the last of them for good. */
  function askingWith(outcomes: (AndthenError | string)[], timeoutMs = 10 * second) {
    const clock = new ManualClock()
    const abort = new AbortController()
    const told: AndthenError[] = []
    const attempts: number[] = []
    const answer = askPatiently(
      { clock, random: () => 0.5 },
      () => {
        attempts.push(clock.now())
        const outcome = outcomes.length > 1 ? outcomes.shift()! : outcomes[0]!
        return typeof outcome === 'string' ? Promise.resolve(outcome) : Promise.reject(outcome)
      },
      { peer: 'server', timeoutMs, signal: abort.signal, onFailed: error => void told.push(error) }
    )
    answer.catch(() => undefined)
    return { clock, abort, told, attempts, answer }
  }
  async function passTime(clock: ManualClock, ms: number): Promise<void> {
    for (let at = 0; at < ms; at += 50) {
      await new Promise(resolve => setImmediate(resolve))
      clock.advance(50)
    }
  }

  test('goes on until there is an answer', async () => {
    const { clock, told, attempts, answer } = askingWith([lost, lost, 'blocks 0-4'])
    await passTime(clock, 2 * second)
    expect(await answer).toBe('blocks 0-4')
    expect([attempts, told]).toEqual([
      [0, 250, 750],
      [lost, lost]
    ])
  })

  test('ends with what the last attempt failed with, and names the whole time where that was over', async () => {
    const hungUp = askingWith([unreachable('closed')])
    await passTime(hungUp.clock, 20 * second)
    await expect(hungUp.answer).rejects.toMatchObject({ code: 'PEER_UNREACHABLE', reason: 'closed' })
    expect(hungUp.attempts).toEqual([0, 250, 750, 1750, 3750, 7750])
    const late = askingWith([new TimeoutError('info', 3)], 200)
    await expect(late.answer).rejects.toMatchObject({ code: 'TIMEOUT', details: { limitMs: 200, peer: 'server' } })
  })

  test('is given up at once, also between two attempts, with why there was no answer before', async () => {
    const { clock, abort, attempts, answer } = askingWith([lost])
    await passTime(clock, 50)
    abort.abort()
    await expect(answer).rejects.toBe(lost)
    await passTime(clock, 5 * second)
    expect(attempts).toHaveLength(1)
    const first = askingWith([new CancelledError('info')])
    first.abort.abort()
    await expect(first.answer).rejects.toMatchObject({ code: 'CANCELLED' })
  })
})
