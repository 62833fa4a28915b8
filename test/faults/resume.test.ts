import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import type { Link, Relay } from '../../src/bench/index.ts'
import { runSources } from '../bench/run-sources.ts'
import { goldens } from '../e2e/model.ts'
import { linked } from './linked.ts'
import { Swarm, thirds } from './swarm.ts'

// TCP connections that break while both ends live: whoever lost one comes back to what it had, and nothing is replayed.

vi.stubEnv('NODE_OPTIONS', runSources)

let swarm: Swarm
let relay: Relay
let links: Link[]
beforeAll(async () => {
  swarm = await Swarm.of(...thirds)
  ;({ relay, links } = await linked(swarm))
})
afterEach(() => swarm.heal())
afterAll(async () => {
  await swarm.close()
  await relay.close()
})

const { prompt, prompt_ids, greedy_ids } = goldens[0]!
const tokens = 24
const routes = ['push', 'relay', 'delegate'] as const
const resumedAt = (): number[] => swarm.nodes.map(({ server }) => server.table.statistics().resumed)

/** What breaks at the given tokens of one generation; the servers that were come back to meanwhile, how often each. */
async function generating(route: (typeof routes)[number], breaks: (token: number) => Promise<void>): Promise<number[]> {
  const before = resumedAt()
  const connection = await swarm.connect()
  const generation = connection.generate({ prompt, maxNewTokens: tokens, route })
  let shown = 0
  for await (const { tokenId } of generation) if (tokenId !== null) await breaks(++shown)
  const { tokenIds, committed, replays, resumes } = await generation.result
  expect(tokenIds).toEqual(greedy_ids.slice(0, tokens))
  expect(committed).toBe(prompt_ids.length + tokens - 1)
  expect(replays, 'nothing was replayed').toBe(0)
  const counts = resumedAt().map((count, i) => count - (before[i] ?? 0))
  expect(resumes).toBe(route === 'delegate' ? counts[0] : counts.reduce((sum, count) => sum + count))
  await connection.close()
  return counts
}

test.each(routes.flatMap(route => [0, 1, 2].map(victim => ({ route, victim }))))(
  'all connections to server $victim break in the middle, by $route: they come back, and the text is the same',
  async ({ route, victim }) => {
    const counts = await generating(route, async token => {
      if (token === 5) await links[victim]!.reset()
    })
    expect(counts).toEqual([0, 1, 2].map(node => (node === victim ? 1 : 0)))
  }
)

test.each(routes)('all connections break again and again, by %s', async route => {
  const counts = await generating(route, async token => {
    if (token % 6 === 0 && token < tokens) await Promise.all(links.map(link => link.reset()))
  })
  expect(counts).toEqual([3, 3, 3])
})
