import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Chain, ChainReport } from '../../src/client/chain.ts'
import { expectedOf } from './block-runner.ts'
import { BLOCKS, nodes, pass, type Span, World } from './world.ts'

// A client whose connection is lost, and whose servers live on, goes on where it was: nothing is replayed.

const thirds: readonly Span[] = [
  [0, 4],
  [4, 8],
  [8, 12]
]
const prompt = [3, 1, 4, 1, 5]
const rest = [9, 2, 6, 5, 3, 5, 8]
const all = [...prompt, ...rest]
const truth = expectedOf(all, BLOCKS)

const routes = ['relay', 'push', 'delegate'] as const
const policies = ['auto', 'copy', 'digest', 'none'] as const
/** Whom the client has a session with: under delegate only the first. */
const ownedBy = (route: (typeof routes)[number]): number[] => (route === 'delegate' ? [0] : [0, 1, 2])

async function generate(
  world: World,
  chain: Chain,
  happens: (token: number) => void | Promise<void>
): Promise<{ results: number[]; report: ChainReport }> {
  const results = [await world.drive(pass(chain, prompt))]
  for (const [i, token] of rest.entries()) {
    const running = pass(chain, [token])
    await happens(i)
    results.push(await world.drive(running))
  }
  return { results, report: await world.drive(chain.close()) }
}

/** Times that servers were come back to, as they count. */
const resumedAt = (world: World): number[] => world.servers.map(({ table }) => table.statistics().resumed)

describe('a connection that is lost', () => {
  const cases = routes.flatMap(route =>
    ownedBy(route).flatMap(victim => policies.map(verify => ({ route, victim, verify })))
  )

  test.each(cases)('to server $victim, by $route, verified by $verify: nothing is replayed', async init => {
    for (let turn = 0; turn < 12; turn++) {
      const world = await World.of(...thirds)
      const chain = await world.drive(world.open(init))
      const { results, report } = await generate(world, chain, async token => {
        if (token !== 3) return
        await world.turns(turn)
        world.cut(init.victim)
      })
      expect(results, `cut after ${turn} turns`).toEqual(truth.slice(prompt.length - 1))
      expect(report).toMatchObject({ committed: all.length, replays: 0, resumes: 1 })
      expect(resumedAt(world)).toEqual([0, 1, 2].map(node => (node === init.victim ? 1 : 0)))
      for (const server of world.servers) expect(server.sessions()).toEqual([])
    }
  })

  test.each(routes)('to all servers at once, by %s, with a spare for each: it goes on with those', async route => {
    const world = await World.of(...thirds, ...thirds)
    const chain = await world.drive(world.open({ route }))
    const { results, report } = await generate(world, chain, token => {
      if (token === 3) for (const node of [0, 1, 2]) world.cut(node)
    })
    expect(results).toEqual(truth.slice(prompt.length - 1))
    expect(report).toMatchObject({ committed: all.length, replays: 0, resumes: ownedBy(route).length })
    expect(chain.servers.map(({ peerId }) => peerId)).toEqual(nodes.slice(0, 3))
  })

  test('between two servers: what is pushed goes over another stream, and nobody resumes', async () => {
    const world = await World.of(...thirds)
    const chain = await world.drive(world.open({ route: 'push' }))
    const { results, report } = await generate(world, chain, token => {
      if (token === 3) world.cut(1, nodes[0])
    })
    expect(results).toEqual(truth.slice(prompt.length - 1))
    expect(report).toMatchObject({ committed: all.length, replays: 0, resumes: 0 })
    expect(report.pushes.used, 'but for the step or two that it took').toBeGreaterThanOrEqual(13)
  })

  test.each([1, 2])('of the first server of a delegated route to server %i: the route goes on', async victim => {
    const world = await World.of(...thirds)
    const chain = await world.drive(world.open({ route: 'delegate' }))
    const { results, report } = await generate(world, chain, token => {
      if (token === 3) world.cut(victim, nodes[0])
    })
    expect(results).toEqual(truth.slice(prompt.length - 1))
    expect(report).toMatchObject({ committed: all.length, replays: 0, resumes: 0 })
    expect(resumedAt(world)).toEqual([0, 1, 2].map(node => (node === victim ? 1 : 0)))
  })

  test('of the first server of a delegated route, and again before it is back: the route goes on', async () => {
    const world = await World.of(...thirds)
    const chain = await world.drive(world.open({ route: 'delegate' }))
    const { results, report } = await generate(world, chain, async token => {
      if (token !== 3) return
      world.cut(1, nodes[0])
      await world.turns(1)
      world.cut(1, nodes[0])
    })
    expect(results).toEqual(truth.slice(prompt.length - 1))
    expect(report).toMatchObject({ committed: all.length, replays: 0, resumes: 0 })
  })

  test('any of them, at any times, with several passes under way, by any route and proof', async () => {
    const plan = fc.record({
      route: fc.constantFrom(...routes),
      verify: fc.constantFrom(...policies),
      cuts: fc.array(fc.record({ victim: fc.nat(2), turns: fc.nat(40), pushes: fc.boolean() }), {
        minLength: 1,
        maxLength: 3
      }),
      sizes: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 12, maxLength: 12 })
    })
    // The last server's answer is there, and that of the one before it is still to be said again, with its receipt.
    const lateReceipt = {
      route: 'delegate' as const,
      verify: 'none' as const,
      cuts: [
        { victim: 1, turns: 7, pushes: true },
        { victim: 0, turns: 0, pushes: false }
      ],
      sizes: all.map(() => 1)
    }
    await fc.assert(
      fc.asyncProperty(plan, async ({ route, verify, cuts, sizes }) => {
        const world = await World.of(...thirds)
        const chain = await world.drive(world.open({ route, verify }))
        const passes: Promise<number>[] = []
        const lasts: number[] = []
        for (let at = 0, i = 0; at < all.length; i++) {
          const tokens = all.slice(at, at + sizes[i]!)
          at += tokens.length
          passes.push(pass(chain, tokens))
          lasts.push(truth[at - 1]!)
        }
        for (const { victim, turns, pushes } of cuts) {
          await world.turns(turns)
          world.cut(victim)
          if (pushes && victim > 0) world.cut(victim, nodes[victim - 1])
        }
        expect(await world.drive(Promise.all(passes))).toEqual(lasts)
        expect(await world.drive(chain.close())).toMatchObject({ committed: all.length, replays: 0 })
      }),
      { numRuns: 150, examples: [[lateReceipt]] }
    )
  })
})

describe('connections that are lost while servers fail', () => {
  test.each(routes)('and are replaced, by %s: the text is the same, and no session is left', async route => {
    for (let turn = 0; turn < 60; turn += 2) {
      const world = await World.of(...thirds, ...thirds)
      const chain = await world.drive(world.open({ route }))
      const { results, report } = await generate(world, chain, async token => {
        if (token !== 3) return
        world.kill(1)
        await world.turns(turn)
        // The first server lives on; a spare takes the place of the one behind it.
        for (const node of [0, 4]) world.cut(node)
      })
      expect(results, `cut after ${turn} turns`).toEqual(truth.slice(prompt.length - 1))
      expect(report.committed, `cut after ${turn} turns`).toBe(all.length)
      await world.turns(20)
      world.clock.advance(10_000)
      await world.turns(20)
      for (const node of [0, 2, 3, 4, 5]) expect(world.servers[node]!.sessions()).toEqual([])
    }
  })
})

describe('a connection that is lost during a fail-over', () => {
  const long = Array.from({ length: 600 }, (_, i) => (i * 7) % 100)
  const longTruth = expectedOf([...long, ...rest], BLOCKS)
  /** Sessions that a server ever had. */
  const openedAt = (world: World, node: number): number => {
    const { ended, sessions } = world.servers[node]!.table.statistics()
    return sessions.active + Object.values(ended).reduce((sum, count) => sum + count)
  }

  /** A server is killed behind a long prompt, and what `happens` is told when its spare has got a part of the replay. */
  async function replaying(route: 'relay' | 'push', happens: (world: World) => void): Promise<World> {
    const world = await World.of(...thirds, [4, 8])
    const chain = await world.drive(world.open({ route }))
    for (let at = 0; at < long.length; at += 100)
      expect(await world.drive(pass(chain, long.slice(at, at + 100)))).toBe(longTruth[at + 99])
    for (const [i, token] of rest.entries()) {
      const running = pass(chain, [token])
      if (i === 3) {
        world.kill(1)
        for (let turn = 0; (world.servers[3]!.sessions()[0]?.length ?? 0) === 0; turn++) {
          if (turn > 1000) throw new Error('nothing is replayed')
          await world.turns(1)
        }
        happens(world)
      }
      expect(await world.drive(running)).toBe(longTruth[long.length + i])
    }
    const report = await world.drive(chain.close())
    expect(report).toMatchObject({ committed: long.length + rest.length, replays: 1 })
    return world
  }

  test.each(['relay', 'push'] as const)(
    'to the server that is replayed to, by %s: its session goes on, and nothing is replayed twice',
    async route => {
      const world = await replaying(route, world => world.cut(3))
      expect([openedAt(world, 3), resumedAt(world)[3]]).toEqual([1, 1])
      const step = 128
      expect(world.ledgers[3]!.tokens).toBeLessThanOrEqual(long.length + rest.length + step)
    }
  )

  test.each(['relay', 'push'] as const)(
    'again and again, by %s: each time a part of the replay is there',
    async route => {
      let cuts = 0
      const world = await replaying(route, world => {
        const again = (): void => {
          world.cut(3)
          if (++cuts < 5) world.clock.after(50, again)
        }
        again()
      })
      expect(openedAt(world, 3)).toBe(1)
    }
  )

  test('with each step of a replay, so that nothing ever comes of it: the server is given up when patience is over', async () => {
    const world = await World.of(...thirds)
    const chain = await world.drive(world.open({ route: 'push', waitMs: 1_000 }))
    for (let at = 0; at < long.length; at += 100)
      expect(await world.drive(pass(chain, long.slice(at, at + 100)))).toBe(longTruth[at + 99])
    const { table } = world.servers[1]!
    await table.end([...table.sessions][0]!, 'PRESSURE')
    world.cutAt(1, 1024)
    const started = world.clock.now()
    await expect(world.drive(pass(chain, [1]))).rejects.toMatchObject({
      code: 'BLOCKS_NOT_COVERED',
      details: { missing: ['4-8'], lost: [nodes[1]] },
      cause: { code: 'INTERRUPTED' }
    })
    expect(world.clock.now() - started).toBeLessThan(5_000)
    // At once, at once again, and then after 100 ms and twice as long each time.
    expect(resumedAt(world)[1], 'as often as the link allows would be more').toBeLessThanOrEqual(6)
    await world.drive(chain.close())
  })

  test('to servers that live on, at any time: the one that takes the place of the dead one is replayed to, and no other', async () => {
    const plan = fc.record({
      route: fc.constantFrom('relay', 'push'),
      verify: fc.constantFrom(...policies),
      victim: fc.nat(2),
      token: fc.nat(rest.length - 1),
      killedAfter: fc.nat(20),
      cuts: fc.array(fc.record({ other: fc.nat(1), turns: fc.nat(20) }), { minLength: 1, maxLength: 3 })
    })
    await fc.assert(
      fc.asyncProperty(plan, async ({ route, verify, victim, token, killedAfter, cuts }) => {
        const world = await World.of(...thirds, thirds[victim]!)
        const chain = await world.drive(world.open({ route: route, verify }))
        const { results, report } = await generate(world, chain, async at => {
          if (at !== token) return
          void world.turns(killedAfter).then(() => world.kill(victim))
          for (const { other, turns } of cuts) {
            await world.turns(turns)
            world.cut([0, 1, 2].filter(node => node !== victim)[other]!)
          }
        })
        expect(results).toEqual(truth.slice(prompt.length - 1))
        expect(report.replays, 'none where the text ended first').toBeLessThanOrEqual(1)
        for (const node of [0, 1, 2]) expect(openedAt(world, node)).toBe(1)
      }),
      { numRuns: 150 }
    )
  })
})

describe('a connection that does not come back at once', () => {
  /** The route to server 1 is cut, and nobody gets there until the clock says so. */
  async function away(spares: readonly Span[], backAfterMs: number): Promise<ChainReport & { servers: string[] }> {
    const world = await World.of(...thirds, ...spares)
    const chain = await world.drive(world.open({ route: 'push' }))
    const { results, report } = await generate(world, chain, token => {
      if (token !== 3) return
      world.clock.after(backAfterMs, world.isolate(1))
      world.cut(1)
    })
    expect(results).toEqual(truth.slice(prompt.length - 1))
    return { ...report, servers: chain.servers.map(({ peerId }) => peerId) }
  }

  test('is waited for where no other server will do', async () => {
    expect(await away([], 6_000)).toMatchObject({ replays: 0, resumes: 1 })
  })

  test('is not waited for where another server takes its place', async () => {
    const { servers, ...report } = await away([[4, 8]], 6_000)
    expect(report).toMatchObject({ replays: 1, resumes: 0 })
    expect(servers[1]).toBe(nodes[3])
  })
})

describe('a session that is gone when its client is back', () => {
  test.each(routes)('by %s: the server is asked for another, and what it had is replayed', async route => {
    const world = await World.of(...thirds)
    const chain = await world.drive(world.open({ route }))
    const { results, report } = await generate(world, chain, token => {
      if (token !== 3) return
      world.cut(0)
      const [session] = world.servers[0]!.table.sessions
      void world.servers[0]!.table.end(session!, 'CANCEL')
    })
    expect(results).toEqual(truth.slice(prompt.length - 1))
    expect(report).toMatchObject({ committed: all.length, replays: route === 'delegate' ? 3 : 1, resumes: 0 })
  })

  test('after the grace it is over on every server, and its rows are free', async () => {
    const world = await World.of(...thirds)
    await world.drive(world.open({ route: 'push' }))
    for (const node of [0, 1, 2]) {
      world.isolate(node)
      world.cut(node)
    }
    await world.turns(10)
    world.clock.advance(10_000)
    await world.turns(10)
    for (const { table } of world.servers) {
      const { ended, freeSlots, resumed } = table.statistics()
      expect({ disconnected: ended.DISCONNECT, freeSlots, resumed }).toEqual({
        disconnected: 1,
        freeSlots: 2,
        resumed: 0
      })
    }
  })
})
