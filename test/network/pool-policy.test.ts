import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ManualClock } from '../../src/base/index.ts'
import { type PoolEffect, PoolPolicy } from '../../src/network/pool-policy.ts'

const init = { idleTimeoutMs: 1_000, goAwayTimeoutMs: 100, graceMs: 500, maxConnections: 3 }

describe('PoolPolicy', () => {
  it('says goodbye to an idle connection, then closes it when the peer has answered', () => {
    const policy = new PoolPolicy(init)
    policy.opened('c', 'peer', 0)
    expect(policy.nextTick()).toBe(1_000)
    expect(policy.tick(999)).toEqual([])
    expect(policy.tick(1_000)).toEqual([{ kind: 'goaway', connection: 'c' }])
    expect(policy.usable('peer')).toBeUndefined()
    expect(policy.answered('c', 1_001)).toEqual([{ kind: 'close', connection: 'c' }])
  })

  it('closes without an answer after the time for one', () => {
    const policy = new PoolPolicy(init)
    policy.opened('c', 'peer', 0)
    policy.tick(1_000)
    expect(policy.tick(1_100)).toEqual([{ kind: 'close', connection: 'c' }])
    expect(policy.nextTick()).toBe(Number.POSITIVE_INFINITY)
  })

  it('serves a stream that crossed its goodbye, and closes after that', () => {
    const policy = new PoolPolicy(init)
    policy.opened('c', 'peer', 0)
    policy.tick(1_000)
    policy.acquire('c')
    expect(policy.answered('c', 1_001)).toEqual([])
    expect(policy.release('c', 5_000)).toEqual([{ kind: 'close', connection: 'c' }])
  })

  it('counts idleness from the last release', () => {
    const policy = new PoolPolicy(init)
    policy.opened('c', 'peer', 0)
    policy.acquire('c')
    policy.acquire('c')
    policy.release('c', 500)
    expect(policy.tick(10_000)).toEqual([])
    policy.release('c', 10_000)
    expect(policy.nextTick()).toBe(11_000)
  })

  it('closes what its peer has left but does not close', () => {
    const policy = new PoolPolicy(init)
    policy.opened('c', 'peer', 0)
    policy.peerLeft('c', 10)
    expect(policy.isUsable('c')).toBe(false)
    expect(policy.tick(110)).toEqual([{ kind: 'close', connection: 'c' }])
  })

  it('makes room by the connection that idled longest, and is full when none idles', () => {
    const policy = new PoolPolicy(init)
    for (const [at, id] of ['a', 'b', 'c'].entries()) policy.opened(id, id, at)
    policy.acquire('a')
    expect(policy.full).toBe(false)
    expect(policy.opened('d', 'd', 9)).toEqual([{ kind: 'goaway', connection: 'b' }])
    for (const id of ['b', 'c', 'd']) policy.acquire(id)
    expect(policy.full).toBe(true)
  })

  it('refuses those that came while there was room for fewer, and none for whom another goes', () => {
    const policy = new PoolPolicy(init)
    for (const id of ['a', 'b', 'c']) policy.opened(id, id, 0)
    for (const id of ['a', 'b']) policy.acquire(id)
    expect(policy.opened('d', 'd', 1)).toEqual([{ kind: 'goaway', connection: 'c' }])
    policy.acquire('d')
    expect(policy.opened('e', 'e', 2)).toEqual([{ kind: 'refuse', connection: 'e' }])
  })

  it('one host fills its share and no more: those of it that idle make room, and no others', () => {
    const policy = new PoolPolicy({ ...init, maxConnections: 9, maxFrom: host => (host === 'narrow' ? 2 : 9) })
    const narrow = { host: 'narrow' }
    policy.opened('elsewhere', 'idle', 0, { host: 'wide' })
    for (const id of ['a', 'b']) policy.opened(id, id, 1, narrow)
    policy.acquire('a')
    expect([policy.isFullFrom('narrow'), policy.isFullFrom('wide'), policy.full]).toEqual([false, false, false])
    expect(policy.opened('c', 'c', 2, narrow)).toEqual([{ kind: 'goaway', connection: 'b' }])
    policy.acquire('c')
    expect(policy.isFullFrom('narrow')).toBe(false)
    policy.closed('b')
    expect([policy.isFullFrom('narrow'), policy.full]).toEqual([true, false])
    expect(policy.opened('d', 'd', 3, narrow)).toEqual([{ kind: 'refuse-host', connection: 'd' }])
    policy.closed('d')
    // What was dialled is nobody's share.
    expect(policy.opened('dialled', 'e', 3)).toEqual([])
  })

  it('expels a peer that goes on though it was told, once what crossed the goodbye has had its time', () => {
    const policy = new PoolPolicy(init)
    policy.opened('c', 'peer', 0)
    policy.tick(1_000)
    policy.answered('c', 1_050)
    // Streams that take no lease keep it open.
    expect(policy.retryClose('c', 1_549)).toEqual([{ kind: 'close', connection: 'c' }])
    expect([policy.overstays('c', 1_549), policy.overstays('c', 1_550)]).toEqual([false, true])
    expect(policy.retryClose('c', 1_550)).toEqual([{ kind: 'expel', connection: 'c' }])
  })

  it('prefers a direct connection to one through a relay, and takes that where there is none', () => {
    const policy = new PoolPolicy(init)
    policy.opened('relayed', 'peer', 0, { relayed: true })
    expect(policy.usable('peer')).toBe('relayed')
    policy.opened('direct', 'peer', 1)
    expect(policy.usable('peer')).toBe('direct')
  })

  it('lets be what is needed without a lease, and closes it when it has idled after that', () => {
    let needed = true
    const policy = new PoolPolicy({ ...init, isNeeded: () => needed })
    for (const id of ['a', 'b', 'c']) policy.opened(id, id, 0)
    expect([policy.tick(1_000), policy.full]).toEqual([[], true])
    expect(policy.opened('d', 'd', 1_000)).toEqual([{ kind: 'refuse', connection: 'd' }])
    policy.closed('d')
    needed = false
    expect(policy.tick(1_999)).toEqual([])
    expect(policy.tick(2_000).map(({ kind }) => kind)).toEqual(['goaway', 'goaway', 'goaway'])
  })

  it('keeps idle connections for ever when told to', () => {
    const policy = new PoolPolicy({ ...init, idleTimeoutMs: 0 })
    policy.opened('c', 'peer', 0)
    expect(policy.nextTick()).toBe(Number.POSITIVE_INFINITY)
  })

  it('under any schedule no host has more that stay than its share, and pays for it alone', () => {
    const most = { a: 1, b: 2, c: 6 }
    const hosts = Object.keys(most) as (keyof typeof most)[]
    const maxFrom = (host: string): number => most[host as keyof typeof most]
    const event = fc.record({
      host: fc.constantFrom(...hosts),
      kind: fc.constantFrom('open', 'open', 'lease', 'release', 'lose'),
      pick: fc.nat(9)
    })
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), events => {
        const policy = new PoolPolicy({ ...init, maxConnections: 6, maxFrom })
        const staying = new Map<string, string>()
        const leases = new Map<string, number>()
        const gone = (connection: string): void => {
          policy.closed(connection)
          staying.delete(connection)
          leases.delete(connection)
        }
        for (const [now, { host, kind, pick }] of events.entries()) {
          const own = [...staying].filter(([, of]) => of === host).map(([connection]) => connection)
          const one = own[pick % Math.max(1, own.length)] ?? ''
          if (kind === 'lose') gone(one)
          else if (kind === 'lease' && policy.acquire(one)) leases.set(one, (leases.get(one) ?? 0) + 1)
          else if (kind === 'release' && (leases.get(one) ?? 0) > 0) {
            policy.release(one, now)
            leases.set(one, (leases.get(one) ?? 0) - 1)
          } else if (kind === 'open') {
            const full = { host: own.length >= maxFrom(host), all: staying.size >= 6 }
            staying.set(String(now), host)
            for (const effect of policy.opened(String(now), 'peer', now, { host })) {
              if (full.host) expect(staying.get(effect.connection)).toBe(host)
              else expect(full.all).toBe(true)
              expect(leases.get(effect.connection) ?? 0).toBe(0)
              gone(effect.connection)
            }
          }
          for (const each of hosts)
            expect([...staying.values()].filter(of => of === each).length).toBeLessThanOrEqual(maxFrom(each))
          expect(staying.size).toBeLessThanOrEqual(6)
        }
      })
    )
  })

  it('under any schedule: closes nothing leased, closes all idle in time, leaks no lease', () => {
    const event = fc.record({
      kind: fc.constantFrom('open', 'acquire', 'release', 'answer', 'leave', 'lose', 'wait'),
      connection: fc.constantFrom('a', 'b', 'c', 'd'),
      ms: fc.integer({ min: 0, max: 1_500 })
    })
    fc.assert(
      fc.property(fc.array(event, { maxLength: 200 }), events => {
        const clock = new ManualClock()
        const policy = new PoolPolicy(init)
        const leases = new Map<string, number>()
        const apply = (effects: readonly PoolEffect[]): void => {
          for (const { kind, connection } of effects) {
            expect(leases.get(connection), `${kind} of a leased connection`).toBe(0)
            if (kind === 'goaway') continue
            policy.closed(connection)
            leases.delete(connection)
          }
        }
        const advance = (ms: number): void => {
          const end = clock.now() + ms
          for (let next = policy.nextTick(); next <= end; next = policy.nextTick()) {
            clock.advance(Math.max(0, next - clock.now()))
            apply(policy.tick(clock.now()))
          }
          clock.advance(end - clock.now())
        }
        for (const { kind, connection, ms } of events) {
          const held = leases.get(connection)
          if (kind === 'wait') advance(ms)
          else if (kind === 'open' && held === undefined) {
            leases.set(connection, 0)
            apply(policy.opened(connection, connection, clock.now()))
          } else if (kind === 'acquire') {
            expect(policy.acquire(connection)).toBe(held !== undefined)
            if (held !== undefined) leases.set(connection, held + 1)
          } else if (kind === 'release' && held !== undefined && held > 0) {
            leases.set(connection, held - 1)
            apply(policy.release(connection, clock.now()))
          } else if (kind === 'answer') apply(policy.answered(connection, clock.now()))
          else if (kind === 'leave') policy.peerLeft(connection, clock.now())
          else if (kind === 'lose') {
            policy.closed(connection)
            leases.delete(connection)
          }
          expect(policy.size).toBe(leases.size)
          expect(policy.leases).toBe([...leases.values()].reduce((sum, held) => sum + held, 0))
        }
        for (const [connection, held] of leases) {
          for (let i = held; i > 0; i--) {
            leases.set(connection, i - 1)
            apply(policy.release(connection, clock.now()))
          }
        }
        advance(init.idleTimeoutMs + init.goAwayTimeoutMs)
        expect(policy.size, 'connections left when all had idled').toBe(0)
      })
    )
  })
})
