import { describe, expect, test } from 'vitest'
import { AndthenError, ManualClock } from '../../src/base/index.ts'
import type { Candidate } from '../../src/client/directory.ts'
import { RouteRefusedError } from '../../src/client/errors.ts'
import { type RouteName, ServerChoice } from '../../src/client/server-choice.ts'
import { Standing } from '../../src/client/standing.ts'
import { ServerFaultError } from '../../src/inference/index.ts'
import { ConnectionLostError } from '../../src/network/index.ts'

const minute = 60_000
const ROUTE_BYTES = 1000
const busy = new AndthenError('BUSY', 'no room', { retryable: true, details: { retryAfterMs: 1000 } })

const candidate = (peerId: string, from: number, to: number, pingMs: number): Candidate => ({
  ...{ peerId, from, to, pingMs },
  target: [],
  addresses: [],
  maxLength: 100,
  delegateBytes: ROUTE_BYTES
})

/** `near` and `far` have the first half, `last` the second. */
const candidates = [candidate('near', 0, 2, 1), candidate('far', 0, 2, 9), candidate('last', 2, 4, 1)]

function choiceOf(route: RouteName = 'push', offered: readonly Candidate[] = candidates) {
  const clock = new ManualClock()
  const standing = new Standing({ clock, random: () => 0.5 })
  const choice = new ServerChoice({ standing }, { candidates: offered, blocks: 4, route, routeBytes: ROUTE_BYTES })
  const chosen = (open: readonly string[] = []): (string | undefined)[] =>
    choice.choose(peerId => open.includes(peerId)).servers.map(({ peerId }) => peerId)
  return { clock, standing, choice, chosen }
}

type Happens = (standing: Standing, peerId: string) => void
const lost: Happens = (standing, peerId) => standing.failed(peerId, new ConnectionLostError(peerId, 'gone'))
const lostTwice: Happens = (standing, peerId) => {
  lost(standing, peerId)
  lost(standing, peerId)
}
const atFault: Happens = (standing, peerId) => standing.failed(peerId, new ServerFaultError(peerId, 'lies'))
const hasNoRoom: Happens = (standing, peerId) => standing.failed(peerId, busy)
const lies: Happens = (standing, peerId) => standing.ban(peerId)

describe('of two servers of the same blocks', () => {
  test('the nearer one is taken, unless there is a session on the other', () => {
    const { chosen } = choiceOf()
    expect(chosen()).toEqual(['near', 'last'])
    expect(chosen(['far'])).toEqual(['far', 'last'])
  })

  test.each<[string, Happens, Happens | null]>([
    ['was lost', lost, null],
    ['was lost more often', lostTwice, lost],
    ['has no room', hasNoRoom, lost],
    ['is at fault', atFault, lostTwice],
    ['was proven to lie', lies, hasNoRoom],
    ['was proven to lie', lies, lostTwice]
  ])('the one that %s is not taken', (_, happens, toTheOther) => {
    const { standing, chosen } = choiceOf()
    happens(standing, 'near')
    toTheOther?.(standing, 'far')
    expect(chosen(['near'])).toEqual(['far', 'last'])
  })

  test('one that was lost of late is taken rather than one that was at fault long ago', () => {
    const { clock, standing, chosen } = choiceOf()
    atFault(standing, 'near')
    clock.advance(minute)
    lost(standing, 'far')
    expect(chosen()).toEqual(['far', 'last'])
  })
})

describe('a server whose place no other can take', () => {
  test.each<[string, Happens]>([
    ['lost again and again', lostTwice],
    ['without room', hasNoRoom],
    ['that lies', lies]
  ])('is chosen, even one %s', (_, happens) => {
    const { standing, chosen } = choiceOf()
    for (let time = 0; time < 50; time++) happens(standing, 'last')
    expect(chosen()).toEqual(['near', 'last'])
  })

  test('and is at fault leaves its blocks missing, for a minute', () => {
    const { clock, standing, choice, chosen } = choiceOf()
    atFault(standing, 'last')
    expect(choice.choose(() => false).missing).toEqual([{ from: 2, to: 4 }])
    clock.advance(minute)
    expect(chosen()).toEqual(['near', 'last'])
  })

  test('is needed; so is one whose only spare is left alone', () => {
    const { standing, choice } = choiceOf()
    expect(['near', 'far', 'last'].map(peerId => choice.isNeeded(peerId))).toEqual([false, false, true])
    lostTwice(standing, 'far')
    expect(choice.isNeeded('near')).toBe(true)
  })
})

describe('a route', () => {
  test.each<[RouteName, boolean, boolean]>([
    ['relay', false, false],
    ['push', true, false],
    ['delegate', true, true]
  ])('by %s: pushed %s, left to the first server %s', (route, pushed, delegated) => {
    const { choice } = choiceOf(route)
    const servers = [candidates[0]!, candidates[2]!]
    expect([choice.isPushed(servers, 1), choice.delegates(servers)]).toEqual([pushed, delegated])
    expect(choice.isPushed(servers, 0), 'nobody is before the first').toBe(false)
  })

  test('with an edge that is relayed is not left to anybody', () => {
    const { standing, choice } = choiceOf('delegate')
    standing.mismatch('near', 'last')
    const servers = [candidates[0]!, candidates[2]!]
    expect([choice.isPushed(servers, 1), choice.delegates(servers)]).toEqual([false, false])
  })

  test("by delegate: a route that its first server does not get along is the client's for a while, and pushed all the same", () => {
    const { clock, standing, choice } = choiceOf('delegate')
    const { servers } = choice.choose(() => false)
    standing.apart('near', 'last')
    expect([choice.isPushed(servers, 1), choice.delegates(servers)]).toEqual([true, false])
    clock.advance(minute)
    expect(choice.delegates(servers)).toBe(true)
  })

  test.each<[RouteName, string]>([
    ['delegate', 'far'],
    ['push', 'near']
  ])('by %s is begun by the server that is best for that, where one takes on none: %s', (route, first) => {
    const offered = [{ ...candidates[0]!, delegateBytes: ROUTE_BYTES - 1 }, candidates[1]!, candidates[2]!]
    const { choice } = choiceOf(route, offered)
    const { servers } = choice.choose(() => false)
    expect(servers[0]!.peerId).toBe(first)
    expect(choice.delegates(servers)).toBe(route === 'delegate')
  })

  test('by delegate is pushed along where no first server takes it on, whatever the others take on', () => {
    const offered = candidates.map(server => ({ ...server, delegateBytes: server.from === 0 ? 0 : ROUTE_BYTES }))
    const { choice, chosen } = choiceOf('delegate', offered)
    expect(chosen()).toEqual(['near', 'last'])
    expect(choice.delegates([offered[0]!, offered[2]!])).toBe(false)
  })

  test('by delegate needs nobody to take it on where one server has all blocks', () => {
    const all = { ...candidate('all', 0, 4, 1), delegateBytes: 0 }
    expect(choiceOf('delegate', [all, ...candidates]).chosen()).toEqual(['all'])
  })

  test('that was refused is left to another server for a minute, and the one that refused it is used all the same', () => {
    const { clock, standing, choice, chosen } = choiceOf('delegate')
    const refused = new RouteRefusedError(new AndthenError('QUOTA', 'no memory'))
    standing.failed('near', refused)
    expect(chosen()).toEqual(['far', 'last'])
    standing.failed('far', refused)
    expect(chosen()).toEqual(['near', 'last'])
    expect(choice.delegates([candidates[0]!, candidates[2]!])).toBe(false)
    clock.advance(minute)
    expect(choice.delegates([candidates[0]!, candidates[2]!])).toBe(true)
  })
})
