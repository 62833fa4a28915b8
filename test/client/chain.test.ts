import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AndthenError } from '../../src/base/index.ts'
import type { Chain, ChainReport } from '../../src/client/chain.ts'
import { expectedOf, statesOf } from './block-runner.ts'
import { BLOCKS, nodes, pass, type Span, World } from './world.ts'

const thirds: readonly Span[] = [
  [0, 4],
  [4, 8],
  [8, 12]
]
const splits: readonly Span[] = [
  [0, 1],
  [1, 4],
  [4, 7],
  [7, 10],
  [10, 12]
]
const halves: readonly Span[] = [
  [0, 6],
  [6, 12]
]

const prompt = [3, 1, 4, 1, 5]
const rest = [9, 2, 6, 5, 3, 5, 8]
const all = [...prompt, ...rest]
/** What the whole model gives for each token. */
const truth = expectedOf(all, BLOCKS)

/** A prompt and then token by token; `at` happens before the token of that number. */
async function generate(
  world: World,
  chain: Chain,
  at: { token: number; happens: () => void } | null = null
): Promise<{ results: number[]; report: ChainReport }> {
  const results = [await world.drive(pass(chain, prompt))]
  for (const [i, token] of rest.entries()) {
    const running = pass(chain, [token])
    if (i === at?.token) at.happens()
    results.push(await world.drive(running))
  }
  return { results, report: await world.drive(chain.close()) }
}

const routes = ['relay', 'push'] as const
const policies = ['auto', 'copy', 'digest', 'none'] as const

describe('a chain of three servers', () => {
  test.each(routes.flatMap(route => policies.map(verify => [route, verify] as const)))(
    'by %s, verified by %s, gives what the whole model gives, and commits all of it',
    async (route, verify) => {
      const world = await World.of(...thirds)
      const chain = await world.drive(world.open({ route, verify }))
      const { results, report } = await generate(world, chain)
      expect(results).toEqual(truth.slice(prompt.length - 1))
      expect(report).toMatchObject({ committed: all.length, replays: 0 })
      expect(report.pushes).toEqual({ used: route === 'push' ? 16 : 0, late: 0, ignored: 0, mismatched: 0 })
      for (const server of world.servers) expect(server.sessions()).toEqual([])
    }
  )

  test.each(policies)(
    'left to the first server, verified by %s, gives the same, and traces each server',
    async verify => {
      const world = await World.of(...thirds)
      const chain = await world.drive(world.open({ route: 'delegate', verify }))
      const hidden = chain.reserve(prompt.length)
      hidden.set(statesOf(prompt))
      const { trace } = await world.drive(chain.run(hidden, 'last'))
      const results: number[] = []
      for (const token of rest) results.push(await world.drive(pass(chain, [token])))
      expect(results).toEqual(truth.slice(prompt.length))
      expect(await world.drive(chain.close())).toMatchObject({ committed: all.length, replays: 0, proofs: [] })
      expect(trace.hops.map(({ peerId }) => peerId)).toEqual(nodes.slice(0, 3))
      expect(chain.traces).toHaveLength(1 + rest.length)
      expect(chain.traces[0], 'a pass has one trace').toBe(trace)
    }
  )

  test('left to the first server, one of which fails: another route is brought to where it was', async () => {
    for (const victim of [0, 1, 2]) {
      const world = await World.of(...thirds, thirds[victim]!)
      const chain = await world.drive(world.open({ route: 'delegate' }))
      const { results, report } = await generate(world, chain, { token: 3, happens: () => world.kill(victim) })
      expect(results, `server ${victim}`).toEqual(truth.slice(prompt.length - 1))
      expect(report).toMatchObject({ committed: all.length, replays: 3 })
    }
  })

  test.each(routes)('by %s takes several passes at once, and answers them in order', async route => {
    const world = await World.of(...thirds)
    const chain = await world.drive(world.open({ route }))
    const order: number[] = []
    const passes = all.map(async (token, i) => {
      const result = await pass(chain, [token])
      order.push(i)
      return result
    })
    expect(await world.drive(Promise.all(passes))).toEqual(truth)
    expect(order).toEqual(all.map((_, i) => i))
    await world.drive(chain.close())
  })

  test.each(routes)('by %s ends its sessions when it is closed while a pass is under way', async route => {
    const world = await World.of(...thirds)
    const chain = await world.drive(world.open({ route }))
    const running = pass(chain, prompt)
    const [outcome] = await Promise.all([
      world.drive(running).catch((error: AndthenError) => error.code),
      world.drive(chain.close())
    ])
    expect(outcome).toBe('CANCELLED')
    for (const server of world.servers) expect(server.sessions()).toEqual([])
  })
})

describe('a server that fails in the middle', () => {
  const failures = { killed: 'kill', frozen: 'freeze' } as const
  const cases = routes.flatMap(route =>
    [0, 1, 2].flatMap(victim => (['killed', 'frozen'] as const).map(how => [route, victim, how] as const))
  )

  test.each(cases)(
    'by %s, server %i %s: a spare takes over, and the result is the same',
    async (route, victim, how) => {
      const world = await World.of(...thirds, thirds[victim]!)
      const chain = await world.drive(world.open({ route }))
      const happens = (): void => void world[failures[how]](victim)
      const { results, report } = await generate(world, chain, { token: 3, happens })
      expect(results).toEqual(truth.slice(prompt.length - 1))
      expect(report).toMatchObject({ committed: all.length, replays: 1 })
      expect(chain.servers.map(({ peerId }) => peerId)).toContain(nodes[3])
    }
  )

  test.each(routes)('by %s is replaced by two, whose boundary the chain never had', async route => {
    const world = await World.of(...thirds, [4, 7], [7, 8])
    const chain = await world.drive(world.open({ route }))
    const { results, report } = await generate(world, chain, { token: 3, happens: () => world.kill(1) })
    expect(results).toEqual(truth.slice(prompt.length - 1))
    expect(report).toMatchObject({ committed: all.length, replays: 2 })
    expect(chain.servers.map(({ from, to }) => `${from}-${to}`)).toEqual(['0-4', '4-7', '7-8', '8-12'])
  })

  test('is used again where no other can be, once its connection is back', async () => {
    const world = await World.of(...thirds)
    const chain = await world.drive(world.open({ route: 'push' }))
    const drop = (): void => {
      const [session] = world.servers[1]!.table.sessions
      void world.servers[1]!.table.end(session!, 'PRESSURE')
    }
    const { results, report } = await generate(world, chain, { token: 3, happens: drop })
    expect(results).toEqual(truth.slice(prompt.length - 1))
    expect(report).toMatchObject({ committed: all.length, replays: 1 })
  })

  test('and cannot be replaced: the error names its blocks', async () => {
    const world = await World.of(...thirds)
    const chain = await world.drive(world.open({ route: 'push' }))
    const failing = generate(world, chain, { token: 3, happens: () => world.kill(1) })
    await expect(failing).rejects.toMatchObject({ code: 'BLOCKS_NOT_COVERED', details: { missing: ['4-8'] } })
    await expect(pass(chain, [1]), 'nothing runs on it any more').rejects.toMatchObject({ code: 'BLOCKS_NOT_COVERED' })
    await world.drive(chain.close())
    expect(world.servers[0]?.sessions()).toEqual([])
  })

  test('with all others: what was committed is told all the same', async () => {
    const world = await World.of([0, 12])
    const chain = await world.drive(world.open({ route: 'push' }))
    const failing = generate(world, chain, { token: 3, happens: () => world.kill(0) })
    await expect(failing).rejects.toMatchObject({ code: 'BLOCKS_NOT_COVERED' })
    expect((await world.drive(chain.close())).committed).toBe(prompt.length + 3)
  })

  test('before the chain ever stood: a spare is taken, and without one its own error is told', async () => {
    const spared = await World.of(...thirds, [4, 8])
    spared.kill(1)
    const chain = await spared.drive(spared.open({ route: 'push' }))
    expect((await generate(spared, chain)).results).toEqual(truth.slice(prompt.length - 1))

    const alone = await World.of(...thirds)
    alone.kill(1)
    await expect(alone.drive(alone.open({ route: 'push' }))).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
    await alone.turns(10)
    expect(alone.servers[0]?.sessions(), 'what was opened is closed').toEqual([])
  })

  test('while it is replayed to: what it never gave is not replayed to the next', async () => {
    // The boundary at block 7 begins with the first spares; how far its inputs came must not count when one fails.
    for (let turn = 0; turn < 30; turn++) {
      const world = await World.of(...thirds, [4, 7], [7, 8], [4, 7])
      const chain = await world.drive(world.open({ route: 'push' }))
      const happens = async (): Promise<void> => {
        world.kill(1)
        await world.turns(turn)
        world.kill(3)
      }
      const { results, report } = await generate(world, chain, { token: 3, happens: () => void happens() })
      expect(results, `killed after ${turn} turns`).toEqual(truth.slice(prompt.length - 1))
      expect(report.committed).toBe(all.length)
      expect(chain.servers.map(({ peerId }) => peerId)).toEqual([0, 5, 4, 2].map(node => nodes[node]))
    }
  })

  test.each(routes)('by %s, while another is still being opened: a spare takes over', async route => {
    const world = await World.of(...thirds, [0, 4], [4, 8])
    const release = world.hold(1)
    const opening = world.open({ route })
    await world.turns(20)
    world.kill(0)
    await world.turns(20)
    release()
    const chain = await world.drive(opening)
    const { results } = await generate(world, chain, { token: 3, happens: () => world.kill(1) })
    expect(results, 'what was kept is right as well').toEqual(truth.slice(prompt.length - 1))
  })

  test('at any time, with several passes under way, by any route and proof: the results are the same', async () => {
    const plan = fc.record({
      route: fc.constantFrom(...routes),
      verify: fc.constantFrom(...policies),
      spares: fc.constantFrom<readonly Span[]>(thirds, splits, halves),
      victims: fc.subarray([0, 1, 2], { minLength: 1 }),
      turns: fc.array(fc.nat(60), { minLength: 3, maxLength: 3 }),
      cuts: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 12, maxLength: 12 })
    })
    await fc.assert(
      fc.asyncProperty(plan, async ({ route, verify, spares, victims, turns, cuts }) => {
        const world = await World.of(...thirds, ...spares)
        const chain = await world.drive(world.open({ route, verify }))
        const passes: Promise<number>[] = []
        const lasts: number[] = []
        for (let at = 0, i = 0; at < all.length; i++) {
          const tokens = all.slice(at, at + cuts[i]!)
          at += tokens.length
          passes.push(pass(chain, tokens))
          lasts.push(truth[at - 1]!)
        }
        for (const victim of victims) {
          await world.turns(turns[victim]!)
          world.kill(victim)
        }
        expect(await world.drive(Promise.all(passes))).toEqual(lasts)
        await world.drive(chain.close())
      }),
      { numRuns: 40 }
    )
  })
})
