import { describe, expect, test } from 'vitest'
import type { Chain, ChainReport } from '../../src/client/chain.ts'
import type { RouteName } from '../../src/client/server-choice.ts'
import { expectedOf } from './block-runner.ts'
import { BLOCKS, nodes, owner, pass, rival, type Span, World } from './world.ts'

// Servers without room: clients wait for them without holding what others wait for, and hold nothing against them.

const halves: readonly Span[] = [
  [0, 6],
  [6, 12]
]
const single = { maxSessions: 1 }
const tokens = [3, 1, 4]
const truth = expectedOf(tokens, BLOCKS)
const routes = ['relay', 'push', 'delegate'] as const

interface Done {
  readonly results: readonly number[]
  readonly report: ChainReport
}

/** A whole generation of one client: opens, runs, closes. */
async function generation(world: World, init: { route: RouteName; as: string }): Promise<Done> {
  const chain: Chain = await world.open(init)
  const results: number[] = []
  for (const token of tokens) results.push(await pass(chain, [token]))
  return { results, report: await chain.close() }
}

/** Servers sorted as clients ask for them, and the other way round. */
const orders = [
  { name: 'the lower id first', first: [0, 1] },
  { name: 'the higher id first', first: [1, 0] }
] as const

describe('two clients of two servers that have room for one session each', () => {
  test.each(routes.flatMap(route => orders.map(order => ({ route, ...order }))))(
    'by $route, each there first at another server, $name: both get their text',
    async ({ route, first }) => {
      for (const turns of [1, 3, 6, 12, 24]) {
        const world = await World.with(single, ...halves)
        // Each is slow to reach the server that the other one reaches at once.
        world.slow(owner, first[1], turns)
        world.slow(rival, first[0], turns)
        const started = world.clock.now()
        const both = [owner, rival].map(as => generation(world, { route, as }))
        for (const { results, report } of await world.drive(Promise.all(both))) {
          expect(results).toEqual(truth)
          expect(report).toMatchObject({ committed: tokens.length, replays: 0 })
        }
        expect(world.clock.now() - started, 'nobody waited for a deadline').toBeLessThan(10_000)
        for (const server of world.servers) expect(server.sessions()).toEqual([])
      }
    }
  )

  test('many of them, whatever their links are like, take turns', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const world = await World.with(single, ...halves)
      for (const [i, as] of [owner, rival].entries())
        for (const node of [0, 1]) world.slow(as, node, (seed * (3 + 4 * i + 7 * node)) % 17)
      const all = [owner, rival, owner, rival].map((as, i) => generation(world, { route: routes[(i + seed) % 3]!, as }))
      for (const { results } of await world.drive(Promise.all(all))) expect(results).toEqual(truth)
    }
  })
})

describe('a server without room', () => {
  test('is asked again when it says, and nothing is held against it', async () => {
    const world = await World.with({ ...single, backlog: { limit: 0, deadlineMs: 1_000 } }, ...halves)
    const before = await world.drive(world.open({ route: 'push', as: rival }))
    const waiting = generation(world, { route: 'push', as: owner })
    world.clock.after(3_000, () => void before.close())
    expect((await world.drive(waiting)).results).toEqual(truth)
    expect(world.servers[0]!.table.statistics().refused, 'it was refused more than once').toBeGreaterThan(1)
  })

  test('whose backlog lasts less than others take is waited for again', async () => {
    const world = await World.with({ ...single, backlog: { limit: 4, deadlineMs: 2_000 } }, ...halves)
    const before = await world.drive(world.open({ route: 'push', as: rival }))
    const waiting = generation(world, { route: 'push', as: owner })
    world.clock.after(5_000, () => void before.close())
    expect((await world.drive(waiting)).results).toEqual(truth)
    const missed = world.servers.map(({ table }) => table.statistics().ended.DEADLINE)
    expect(missed.reduce((sum, count) => sum + count)).toBeGreaterThan(0)
  })

  test('is not waited for where another one has room', async () => {
    const world = await World.with({ ...single, backlog: { limit: 0, deadlineMs: 1_000 } }, ...halves, [0, 6])
    const before = await world.drive(world.open({ route: 'push', as: rival }))
    await world.drive(before.close())
    const blocker = await world.drive(world.open({ route: 'push', as: rival }))
    const started = world.clock.now()
    // The second half has room for the first client only.
    const chain = world.open({ route: 'push', as: owner }).catch((error: unknown) => error)
    await world.drive(blocker.close())
    expect(((await world.drive(chain)) as Chain).servers).toHaveLength(2)
    expect(world.clock.now() - started).toBeLessThan(10_000)
  })

  test('for good: after a minute its own error is told', async () => {
    const world = await World.with({ ...single, backlog: { limit: 0, deadlineMs: 1_000 } }, ...halves)
    await world.drive(world.open({ route: 'push', as: rival }))
    const started = world.clock.now()
    await expect(world.drive(world.open({ route: 'push' }))).rejects.toMatchObject({ code: 'BUSY', retryable: true })
    const waited = world.clock.now() - started
    expect(waited).toBeGreaterThan(50_000)
    expect(waited).toBeLessThan(70_000)
  })

  test('that queues for ever: after a minute there was no room', async () => {
    const world = await World.with({ ...single, backlog: { limit: 4, deadlineMs: 3_600_000 } }, ...halves)
    await world.drive(world.open({ route: 'push', as: rival }))
    const started = world.clock.now()
    await expect(world.drive(world.open({ route: 'push' }))).rejects.toMatchObject({ code: 'BUSY', retryable: true })
    expect(world.clock.now() - started).toBeLessThan(70_000)
    for (const server of world.servers) expect(server.sessions(), 'that of the other client').toHaveLength(1)
  })

  test('needed in the middle of a text: the others are given back, and brought to where they were', async () => {
    // The spare of server 1 is taken; its client ends after a while, or wants what the first one holds.
    const world = await World.with(single, ...halves, [6, 12])
    const spare = nodes[2]
    const chain = await world.drive(world.open({ route: 'push' }))
    const results = [await world.drive(pass(chain, [tokens[0]!]))]
    const other = world.open({ route: 'push', as: rival })
    await world.turns(50)
    world.kill(1)
    for (const token of tokens.slice(1)) results.push(await world.drive(pass(chain, [token])))
    expect(results).toEqual(truth)
    expect(chain.servers[1]?.peerId).toBe(spare)
    await world.drive(chain.close())
    const second = await world.drive(other)
    expect(await world.drive(pass(second, [tokens[0]!]))).toBe(truth[0])
    await world.drive(second.close())
  })
})
