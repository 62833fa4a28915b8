import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { createIdentity, verifySignature } from '../../src/network/index.ts'
import { checkProof } from '../../src/wire/index.ts'
import { goldens } from '../e2e/model.ts'
import { forge, lie, lieElsewhere } from './push-faults.ts'
import { type FaultyNode, Swarm, thirds } from './swarm.ts'

// A server that tells the next one something else than the client is caught, proven to lie, and routed around.

let swarm: Swarm
let chain: FaultyNode[]
let spares: FaultyNode[]
beforeAll(async () => {
  swarm = await Swarm.of(...thirds, ...thirds.slice(0, 2))
  chain = swarm.nodes.slice(0, 3)
  spares = swarm.nodes.slice(3)
})
afterEach(() => swarm.heal())
afterAll(() => swarm.close())

const { prompt, prompt_ids, greedy_ids } = goldens[0]!
const tokens = 12
const expected = greedy_ids.slice(0, tokens)
const policies = ['copy', 'digest', 'auto'] as const
const lastLie = 'what was pushed is not what the client got'

/** Tokens committed where and when each mismatch was noticed. */
const noticed = ({ log }: FaultyNode): (readonly number[])[] =>
  log.flatMap(({ message, committed }) => (message === lastLie ? [committed] : []))

const liars = [0, 1].flatMap(liar => policies.flatMap(verify => [0, 4].map(from => ({ liar, verify, from }))))

describe.each(liars)('server $liar lies from step $from on, verified by $verify', ({ liar, verify, from }) => {
  /** What the receiver of the lie had when it was told the first one. */
  const before = from === 0 ? 0 : prompt_ids.length + from - 1

  test.each([true, false])('with a spare: %s', async spared => {
    const [node, next] = [chain[liar]!, chain[liar + 1]!]
    node.network.fault = lie(node, from)
    const connection = await swarm.connect(spared ? [...chain, spares[liar]!] : chain)
    const result = await connection.generate({ prompt, maxNewTokens: tokens, verify }).result
    expect(result.tokenIds).toEqual(expected)
    expect(result.committed).toBe(prompt_ids.length + tokens - 1)

    expect(noticed(next), 'caught at its first lie, which is not committed').toEqual([[before]])
    expect(result.pushes.mismatched).toBe(1)
    expect(result.proofs).toHaveLength(1)
    const proven = checkProof(JSON.parse(JSON.stringify(result.proofs[0])), verifySignature)
    expect(proven).toMatchObject({ server: node.peerId, step: from, differing: ['outputDigest'] })

    const used = chain.map(({ peerId }) => peerId)
    if (spared) used[liar] = spares[liar]!.peerId
    expect(result.hops.map(({ peerId }) => peerId)).toEqual(used)
    const lies = node.network.pushed.length
    const again = await connection.generate({ prompt, maxNewTokens: tokens, verify }).result
    expect(again).toMatchObject({ tokenIds: expected, replays: 0, proofs: [], pushes: { mismatched: 0 } })
    // Nobody pushes to a liar either: the one in the middle leaves no edge to push on.
    expect(again.pushes.used > 0, 'other edges are pushed on').toBe(spared || liar === 0)
    expect(node.network.pushed.length, 'the liar pushes no more').toBe(lies)
  })
})

test('two liars in turn before an honest server: they are found out, and it is not blamed', async () => {
  for (const node of [chain[0]!, spares[0]!]) node.network.fault = lie(node)
  const connection = await swarm.connect([...chain, ...spares])
  const { tokenIds, proofs, hops } = await connection.generate({ prompt, maxNewTokens: tokens }).result
  expect(tokenIds).toEqual(expected)
  expect(proofs.map(({ server }) => server)).toEqual([chain[0]!.peerId, spares[0]!.peerId])
  expect(hops.slice(1).map(({ peerId }) => peerId)).toEqual(chain.slice(1).map(({ peerId }) => peerId))
})

describe.each(policies)('a receipt that is forged, verified by %s', verify => {
  test.each([
    ['with other hidden states', async (node: FaultyNode) => lie(node, 0, (await createIdentity()).sign)],
    ['with the very hidden states', forge]
  ])('%s: nobody is banned, and the edge is relayed', async (_, fault) => {
    const [node] = chain
    node!.network.fault = await fault(node!)
    const connection = await swarm.connect([...chain, ...spares])
    const result = await connection.generate({ prompt, maxNewTokens: tokens, verify }).result
    expect(result).toMatchObject({ tokenIds: expected, proofs: [] })
    const again = await connection.generate({ prompt, maxNewTokens: tokens, verify }).result
    expect(again).toMatchObject({ tokenIds: expected, proofs: [], replays: 0 })
    expect(again.hops.map(({ peerId }) => peerId)).toEqual(chain.map(({ peerId }) => peerId))
    expect(again.pushes.used).toBeGreaterThan(0)
  })
})

test('a server that once pushed what it had not signed troubles the next client no more', async () => {
  const [node, next] = [chain[0]!, chain[1]!]
  node.network.fault = lie(node, 4, (await createIdentity()).sign)
  const results = []
  for (let i = 0; i < 2; i++) {
    const connection = await swarm.connect(chain)
    results.push(await connection.generate({ prompt, maxNewTokens: tokens, verify: 'digest' }).result)
  }
  for (const { tokenIds, proofs } of results) expect({ tokenIds, proofs }).toEqual({ tokenIds: expected, proofs: [] })
  expect(results[1], 'what is not signed was not pushed').toMatchObject({ replays: 0, pushes: { mismatched: 0 } })
  expect(next.ledger.ignored.get('receipt')).toBeGreaterThan(0)
})

test.each(['push', 'delegate'] as const)(
  'a lie that is signed as of another session proves nothing, and is not used, by %s',
  async route => {
    // The first server of a delegated route pushes to nobody.
    const [liar, next] = route === 'push' ? [chain[0]!, chain[1]!] : [chain[1]!, chain[2]!]
    liar.network.fault = lieElsewhere(liar)
    const connection = await swarm.connect(chain)
    const result = await connection.generate({ prompt, maxNewTokens: tokens, route, verify: 'digest' }).result
    expect(result).toMatchObject({ tokenIds: expected, proofs: [], replays: 0, pushes: { mismatched: 0 } })
    await vi.waitFor(() => expect(next.ledger.ignored.get('receipt')).toBeGreaterThan(0), { timeout: 30_000 })
  }
)

// The first server of a delegated route pushes to nobody, so here the second one lies.
describe.each(policies.flatMap(verify => [0, 4].map(from => ({ verify, from }))))(
  'left to the first server, the second lies from step $from on, verified by $verify',
  ({ verify, from }) => {
    test.each([true, false])('with a spare: %s', async spared => {
      const [first, node, next] = chain
      node!.network.fault = lie(node!, from)
      const connection = await swarm.connect(spared ? [...chain, spares[1]!] : chain)
      const ask = { prompt, maxNewTokens: tokens, route: 'delegate', verify } as const
      const result = await connection.generate(ask).result
      expect(result).toMatchObject({ tokenIds: expected, committed: prompt_ids.length + tokens - 1 })
      expect(noticed(next!)).toEqual([[from === 0 ? 0 : prompt_ids.length + from - 1]])
      expect(result.proofs).toHaveLength(1)
      expect(checkProof(result.proofs[0], verifySignature)).toMatchObject({ server: node!.peerId, step: from })

      const middle = spared ? spares[1]! : node!
      expect(result.hops.map(({ peerId }) => peerId)).toEqual([first!, middle, next!].map(({ peerId }) => peerId))
      const again = await connection.generate(ask).result
      expect(again).toMatchObject({ tokenIds: expected, replays: 0, proofs: [] })
      // Where the liar stays, the client runs the chain itself, and the liar pushes to nobody.
      expect(again.pushes.used > 0, 'other edges are pushed on').toBe(spared)
    })

    test('with a receipt that is forged nobody is banned', async () => {
      const [, node] = chain
      node!.network.fault = lie(node!, from, (await createIdentity()).sign)
      const connection = await swarm.connect(swarm.nodes)
      const ask = { prompt, maxNewTokens: tokens, route: 'delegate', verify } as const
      for (let i = 0; i < 2; i++) {
        const { tokenIds, proofs, hops } = await connection.generate(ask).result
        expect({ tokenIds, proofs }).toEqual({ tokenIds: expected, proofs: [] })
        expect(hops.map(({ peerId }) => peerId)).toEqual(chain.map(({ peerId }) => peerId))
      }
    })
  }
)
