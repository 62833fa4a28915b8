import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { silentLogger } from '../../src/base/index.ts'
import { undelegatedPasses } from '../../src/client/delegated-trace.ts'
import { expectedOf } from './block-runner.ts'
import { BLOCKS, nodes, pass, type Span, World } from './world.ts'

// Servers that are lost for a while, and that no other can take the place of: a generation waits for them, and goes on.

const thirds: readonly Span[] = [
  [0, 4],
  [4, 8],
  [8, 12]
]
const tokens = [3, 1, 4, 1, 5, 9, 2, 6]
const truth = expectedOf(tokens, BLOCKS)
const routes = ['relay', 'push', 'delegate'] as const
const second = 1_000

/** Nobody gets to this server, and what they had there is gone, until so much time has passed. */
function outage(world: World, victim: number, ms: number): void {
  world.clock.after(ms, world.isolate(victim))
  for (const from of world.parties) world.cut(victim, from)
}

describe('a server without a spare', () => {
  test.each(routes.flatMap(route => [0, 1, 2].map(victim => ({ route, victim }))))(
    'that cannot be reached when the chain is opened is waited for, by $route, server $victim',
    async ({ route, victim }) => {
      const world = await World.of(...thirds)
      outage(world, victim, 10 * second)
      const chain = await world.drive(world.open({ route }))
      for (const [i, token] of tokens.entries()) expect(await world.drive(pass(chain, [token]))).toBe(truth[i])
      expect(await world.drive(chain.close())).toMatchObject({ committed: tokens.length, replays: 0 })
    }
  )

  test.each(routes)('that is lost twice in a young chain, for longer than its session is kept, by %s', async route => {
    const world = await World.of(...thirds)
    const chain = await world.drive(world.open({ route }))
    for (const [i, token] of tokens.entries()) {
      if (i === 1 || i === 2) outage(world, 1, 15 * second)
      expect(await world.drive(pass(chain, [token]))).toBe(truth[i])
    }
    expect((await world.drive(chain.close())).committed).toBe(tokens.length)
    expect(chain.servers.map(({ peerId }) => peerId)).toEqual(nodes.slice(0, 3))
  })

  test('whose process is started again is used again', async () => {
    const world = await World.of(...thirds)
    const chain = await world.drive(world.open({ route: 'push' }))
    expect(await world.drive(pass(chain, [tokens[0]!]))).toBe(truth[0])
    world.clock.after(20 * second, world.kill(1))
    for (const [i, token] of tokens.slice(1).entries())
      expect(await world.drive(pass(chain, [token]))).toBe(truth[i + 1])
    expect(await world.drive(chain.close())).toMatchObject({ committed: tokens.length, replays: 1 })
  })

  test.each([
    { waitMs: 0, least: 0, most: 5 * second },
    { waitMs: 5 * second, least: 5 * second, most: 20 * second },
    { waitMs: 60 * second, least: 60 * second, most: 75 * second }
  ])('is waited for as long as was said: $waitMs ms', async ({ waitMs, least, most }) => {
    const world = await World.of(...thirds)
    const chain = await world.drive(world.open({ route: 'push', waitMs }))
    expect(await world.drive(pass(chain, [tokens[0]!]))).toBe(truth[0])
    outage(world, 1, 1_000 * second)
    const started = world.clock.now()
    await expect(world.drive(pass(chain, [tokens[1]!]))).rejects.toMatchObject({
      code: 'BLOCKS_NOT_COVERED',
      retryable: true,
      details: { missing: ['4-8'], lost: [nodes[1]] },
      cause: { code: 'PEER_UNREACHABLE' }
    })
    const waited = world.clock.now() - started
    expect(waited).toBeGreaterThanOrEqual(least)
    expect(waited).toBeLessThan(most)
    await world.drive(chain.close())
  })

  test('that is too busy to answer for 7 s is not given up', async () => {
    const world = await World.of(...thirds)
    const chain = await world.drive(world.open({ route: 'relay' }))
    expect(await world.drive(pass(chain, [tokens[0]!]))).toBe(truth[0])
    world.clock.after(7 * second, world.mute(1))
    for (const [i, token] of tokens.slice(1).entries())
      expect(await world.drive(pass(chain, [token]))).toBe(truth[i + 1])
    expect(await world.drive(chain.close())).toMatchObject({ committed: tokens.length, replays: 0, resumes: 0 })
  })

  test('that is too busy for longer is told that its session is given up: it has room for the next at once', async () => {
    const world = await World.with({ maxSessions: 1 }, ...thirds)
    const chain = await world.drive(world.open({ route: 'relay' }))
    expect(await world.drive(pass(chain, [tokens[0]!]))).toBe(truth[0])
    world.clock.after(13 * second, world.mute(1))
    for (const [i, token] of tokens.slice(1).entries())
      expect(await world.drive(pass(chain, [token]))).toBe(truth[i + 1])
    expect(await world.drive(chain.close())).toMatchObject({ committed: tokens.length, replays: 1 })
    expect(world.servers[1]!.table.statistics().ended).toMatchObject({ DISCONNECT: 0, CANCEL: 0 })
  })

  test.each([1, 2])(
    'that the first server of a route does not get to is reached by the client itself: server %i',
    async node => {
      const world = await World.of(...thirds)
      const together = world.part(0, node)
      const warnings: unknown[] = []
      const warn = (about: object, what: string): void => void (/itself|by push/.test(what) && warnings.push(about))
      const chain = await world.drive(world.open({ route: 'delegate', logger: { ...silentLogger, warn } }))
      for (const [i, token] of tokens.entries()) expect(await world.drive(pass(chain, [token]))).toBe(truth[i])
      expect(chain.servers.map(({ peerId }) => peerId)).toEqual(nodes.slice(0, 3))
      expect(undelegatedPasses(chain.traces)).toBe(tokens.length)
      const reason = expect.stringContaining(nodes[node]!)
      expect(warnings).toEqual([{ first: nodes[0], others: nodes.slice(1, 3), reason }])
      expect((await world.drive(chain.close())).committed).toBe(tokens.length)
      together()
      world.clock.advance(60 * second)
      const next = await world.drive(world.open({ route: 'delegate' }))
      expect(await world.drive(pass(next, [tokens[0]!]))).toBe(truth[0])
      expect(undelegatedPasses(next.traces)).toBe(0)
      await world.drive(next.close())
    }
  )

  test.each<[string, { delegateMemoryBytes: number }, string, number]>([
    ['says that it takes on no routes', { delegateMemoryBytes: 0 }, 'announces', 0],
    ['has too little memory for one', { delegateMemoryBytes: 1 }, 'bytes of memory', 1]
  ])('a route whose first server %s is run by the client', async (_, init, reason, refusals) => {
    const world = await World.with(init, ...thirds)
    const warnings: [object, string][] = []
    const warn = (about: object, what: string): void => void warnings.push([about, what])
    const chain = await world.drive(world.open({ route: 'delegate', logger: { ...silentLogger, warn } }))
    for (const [i, token] of tokens.entries()) expect(await world.drive(pass(chain, [token]))).toBe(truth[i])
    expect(undelegatedPasses(chain.traces)).toBe(tokens.length)
    expect(warnings.filter(([, what]) => what === 'a server failed')).toHaveLength(refusals)
    const own = { first: nodes[0], others: nodes.slice(1, 3), reason: expect.stringContaining(reason) }
    expect(warnings.slice(refusals)).toEqual([[own, expect.stringContaining('by push')]])
    expect((await world.drive(chain.close())).committed).toBe(tokens.length)
  })

  test('is not waited for by who gives up', async () => {
    const world = await World.of(...thirds)
    outage(world, 1, 1_000 * second)
    const gaveUp = new AbortController()
    const opening = world.open({ route: 'push', signal: gaveUp.signal })
    world.clock.after(3 * second, () => gaveUp.abort())
    await expect(world.drive(opening)).rejects.toMatchObject({ code: 'CANCELLED' })
    for (const server of world.servers) expect(server.sessions()).toEqual([])
  })

  test('is the only one that is missing in the error, whoever was lost before and is back', async () => {
    const world = await World.of(...thirds)
    const chain = await world.drive(world.open({ route: 'push', waitMs: 5 * second }))
    outage(world, 0, 8 * second)
    expect(await world.drive(pass(chain, [tokens[0]!]))).toBe(truth[0])
    outage(world, 1, 1_000 * second)
    await expect(world.drive(pass(chain, [tokens[1]!]))).rejects.toMatchObject({
      details: { missing: ['4-8'], lost: [nodes[1]] }
    })
    await world.drive(chain.close())
  })

  test('that gives sessions and nothing else is given up, too', async () => {
    const world = await World.of(...thirds)
    const chain = await world.drive(world.open({ route: 'push' }))
    expect(await world.drive(pass(chain, [tokens[0]!]))).toBe(truth[0])
    let over = false
    const ended = (async () => {
      for (; !over; await world.turns(1))
        for (const session of [...world.servers[1]!.table.sessions])
          await world.servers[1]!.table.end(session, 'PRESSURE')
    })()
    await expect(world.drive(pass(chain, [tokens[1]!]))).rejects.toMatchObject({ code: 'BLOCKS_NOT_COVERED' })
    over = true
    await ended
    await world.drive(chain.close())
  })
})

/** The client begins to run the chain itself, and then leaves a route to the first server before anything was computed. */
const routeAfterOwnChain = {
  route: 'delegate' as const,
  verify: 'auto' as const,
  rows: 1 as const,
  spares: [],
  before: 0 as const,
  outages: [
    { victims: [1], turns: 0, ms: 751 },
    { victims: [0, 2], turns: 0, ms: 7_501 },
    { victims: [1, 2], turns: 0, ms: 11_451 }
  ]
}

test('whatever servers are lost, whenever and for however long, the text is the same', async () => {
  const plan = fc.record({
    route: fc.constantFrom(...routes),
    verify: fc.constantFrom('auto', 'copy', 'digest', 'none'),
    rows: fc.constantFrom(1, 2),
    spares: fc.constantFrom<readonly Span[]>([], [[4, 8]]),
    /** Tokens that a replay takes several steps for. */
    before: fc.constantFrom(0, 300),
    outages: fc.array(
      fc.record({ victims: fc.subarray([0, 1, 2], { minLength: 1 }), turns: fc.nat(120), ms: fc.nat(20 * second) }),
      { minLength: 1, maxLength: 4 }
    )
  })
  await fc.assert(
    fc.asyncProperty(plan, async ({ route, verify, rows, spares, before, outages }) => {
      const world = await World.with({ maxSessions: rows }, ...thirds, ...spares)
      const opening = world.open({ route, verify, waitMs: 60 * second })
      const [first, ...others] = outages
      for (const victim of first!.victims) outage(world, victim, first!.ms)
      const chain = await world.drive(opening)
      const all = [...Array.from({ length: before }, (_, i) => i % 97), ...tokens]
      const sizes = [...Array.from({ length: before / 100 }, () => 100), ...tokens.map(() => 1)]
      const ends = sizes.map((_, i) => sizes.slice(0, i + 1).reduce((sum, size) => sum + size))
      const passes = ends.map((end, i) => pass(chain, all.slice(end - sizes[i]!, end)))
      for (const { victims, turns, ms } of others) {
        await world.turns(turns)
        for (const victim of victims) outage(world, victim, ms)
      }
      const whole = expectedOf(all, BLOCKS)
      expect(await world.drive(Promise.all(passes))).toEqual(ends.map(end => whole[end - 1]))
      await world.drive(chain.close())
    }),
    { numRuns: 40, examples: [[routeAfterOwnChain]] }
  )
})
