import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import type { Link, Relay } from '../../src/bench/index.ts'
import { runSources } from '../bench/run-sources.ts'
import { goldens } from '../e2e/model.ts'
import { linked } from './linked.ts'
import { Swarm, thirds } from './swarm.ts'

// A server that nothing gets to or from any more is replaced, and the text goes on.

vi.stubEnv('NODE_OPTIONS', runSources)

let swarm: Swarm
let relay: Relay
let links: Link[]
beforeAll(async () => {
  swarm = await Swarm.of(...thirds, ...thirds)
  ;({ relay, links } = await linked(swarm))
})
afterEach(async () => {
  for (const link of links) await link.restore()
  await swarm.heal()
})
afterAll(async () => {
  await swarm.close()
  await relay.close()
})

const { prompt, prompt_ids, greedy_ids } = goldens[0]!
const tokens = 12

test.each([0, 1, 2].flatMap(victim => (['push', 'relay', 'delegate'] as const).map(route => ({ victim, route }))))(
  'server $victim is cut off in the middle, by $route',
  async ({ victim, route }) => {
    const chain = swarm.nodes.slice(0, 3)
    const spare = swarm.nodes[3 + victim]!
    const connection = await swarm.connect([...chain, spare])
    const generation = connection.generate({ prompt, maxNewTokens: tokens, route })
    let shown = 0
    for await (const { tokenId } of generation) if (tokenId !== null && ++shown === 5) await links[victim]!.blackhole()
    const { tokenIds, committed, replays, hops } = await generation.result
    expect(tokenIds).toEqual(greedy_ids.slice(0, tokens))
    expect(committed).toBe(prompt_ids.length + tokens - 1)
    expect(replays).toBeGreaterThan(0)
    expect(hops.map(({ peerId }) => peerId)).toEqual(
      chain.map(({ peerId }, i) => (i === victim ? spare.peerId : peerId))
    )
  }
)
