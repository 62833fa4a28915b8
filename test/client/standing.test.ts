import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AndthenError, ManualClock, TimeoutError } from '../../src/base/index.ts'
import { Standing } from '../../src/client/standing.ts'
import { ServerFaultError, SessionTerminatedError } from '../../src/inference/index.ts'
import { ConnectionLostError, PeerUnreachableError } from '../../src/network/index.ts'

const minute = 60_000
const lost = new ConnectionLostError('a', 'gone')
const fault = new ServerFaultError('a', 'sent other hidden states than the digest says')

function standingAt() {
  const clock = new ManualClock()
  return { clock, standing: new Standing({ clock, random: () => 0.5 }) }
}

describe('a server that was lost', () => {
  test.each<[string, AndthenError]>([
    ['its connection was lost', lost],
    ['nobody listens there', new PeerUnreachableError('a', [], 'refused')],
    ['it does not answer', new TimeoutError('step', 30_000)],
    ['it ended the session', new SessionTerminatedError('a', { reason: 'PRESSURE', resumable: false })],
    ['the session is not where it was', new AndthenError('EPOCH', 'not above')]
  ])('because %s is suspect, never excluded, and waited for from the second time on', (_, error) => {
    const { standing } = standingAt()
    standing.failed('a', error)
    expect([standing.suspicion('a'), standing.backOffMs('a')]).toEqual([1, 0])
    standing.failed('a', error)
    expect([standing.suspicion('a'), standing.backOffMs('a')]).toEqual([2, 250])
    expect([standing.isExcluded('a'), standing.isDistrusted('a')]).toEqual([false, false])
    expect([standing.suspicion('b'), standing.backOffMs('b')], 'another one').toEqual([0, 0])
  })

  test('and works again is trusted again', () => {
    const { standing } = standingAt()
    for (let loss = 0; loss < 3; loss++) standing.failed('a', lost)
    standing.worked('a')
    expect(standing.backOffMs('a')).toBe(0)
    for (let pass = 0; pass < 32; pass++) standing.worked('a')
    expect(standing.suspicion('a')).toBe(0)
  })
})

describe('a server that is at fault', () => {
  test.each<[string, AndthenError]>([
    ['contradicts itself', fault],
    ['refuses what it announced', new AndthenError('BLOCKS_NOT_SERVED', 'no')]
  ])('because it %s is not used for a minute, and then where no other will do', (_, error) => {
    const { clock, standing } = standingAt()
    standing.failed('a', error)
    expect([standing.isExcluded('a'), standing.isDistrusted('a')]).toEqual([true, true])
    clock.advance(minute)
    expect([standing.isExcluded('a'), standing.isDistrusted('a')]).toEqual([false, true])
  })
})

describe('servers that disagree', () => {
  test('are relayed between, in this order', () => {
    const { standing } = standingAt()
    standing.mismatch('a', 'b')
    expect(standing.isRelayed('a', 'b')).toBe(true)
    expect(standing.isRelayed('b', 'a')).toBe(false)
    expect([standing.isDistrusted('a'), standing.isDistrusted('b')]).toEqual([false, false])
  })

  test('who was there at two mismatches is replaced, not those who were there at one', () => {
    const { standing } = standingAt()
    standing.mismatch('a', 'b')
    standing.mismatch('b', 'c')
    expect(['a', 'b', 'c'].map(peer => standing.isDistrusted(peer))).toEqual([false, true, false])
  })

  test('a proof takes a server its neighbours for good', () => {
    const { clock, standing } = standingAt()
    standing.ban('a')
    clock.advance(1000 * minute)
    expect(standing.isBanned('a')).toBe(true)
    expect([standing.isRelayed('a', 'b'), standing.isRelayed('b', 'a'), standing.isRelayed('b', 'c')]).toEqual([
      true,
      true,
      false
    ])
    expect(standing.isBanned('b')).toBe(false)
  })
})

describe('whatever happens', () => {
  const event = fc.record({
    what: fc.constantFrom('lost', 'fault', 'worked', 'mismatch', 'ban'),
    peer: fc.constantFrom('a', 'b', 'c'),
    afterMs: fc.nat(2 * minute)
  })

  test('losses alone exclude nobody, work forgives no fault, and proven liars stay out', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), events => {
        const { clock, standing } = standingAt()
        const [faulty, banned, struck] = [new Set<string>(), new Set<string>(), new Map<string, number>()]
        for (const { what, peer, afterMs } of events) {
          clock.advance(afterMs)
          if (what === 'lost') standing.failed(peer, lost)
          if (what === 'worked') standing.worked(peer)
          if (what === 'fault') {
            standing.failed(peer, fault)
            faulty.add(peer)
          }
          if (what === 'mismatch') {
            const other = peer === 'c' ? 'a' : 'c'
            standing.mismatch(peer, other)
            for (const one of [peer, other]) struck.set(one, (struck.get(one) ?? 0) + 1)
          }
          if (what === 'ban') {
            standing.ban(peer)
            banned.add(peer)
          }
          for (const one of ['a', 'b', 'c']) {
            expect(standing.isBanned(one)).toBe(banned.has(one))
            expect(standing.isDistrusted(one)).toBe(faulty.has(one) || (struck.get(one) ?? 0) >= 2)
            if (!faulty.has(one)) expect(standing.isExcluded(one)).toBe(false)
          }
        }
      })
    )
  })
})
