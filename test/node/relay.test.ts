import { expect, it, onTestFinished } from 'vitest'
import { connect, serve, type ServeOptions, type ServerNode } from '../../src/node/index.ts'
import { goldens, shakespeare } from '../e2e/model.ts'

// Servers that nobody can dial, real runners behind real sockets.

async function serving(options: Partial<ServeOptions>): Promise<ServerNode> {
  const node = await serve({ model: shakespeare, admin: 'off', threads: 1, maxLength: 128, maxSessions: 2, ...options })
  onTestFinished(() => node.close())
  return node
}

const { prompt, greedy_ids } = goldens[0]!
const tokens = 8

it.each(['push', 'relay', 'delegate'] as const)('spans behind a relay make a chain, by %s', async route => {
  const relay = await serving({ listen: ['/ip4/127.0.0.1/tcp/0'], relaying: {}, blocks: { from: 0, to: 4 } })
  const behind = { listen: [], relays: relay.info.addresses }
  const middle = await serving({ ...behind, blocks: { from: 4, to: 8 } })
  const last = await serving({ ...behind, blocks: { from: 8, to: 12 } })
  expect([relay, middle, last].map(({ info }) => info.reachable)).toEqual(['unknown', 'relay', 'relay'])
  const peers = [relay, middle, last].flatMap(({ info }) => info.addresses)
  expect(peers.filter(address => address.includes(`/p2p/${relay.info.peerId}/p2p-circuit/`))).toHaveLength(2)

  const connection = await connect({ model: shakespeare, peers, threads: 1 })
  onTestFinished(() => connection.close())
  const result = await connection.generate({ prompt, maxNewTokens: tokens, route, verify: 'digest' }).result
  expect(result).toMatchObject({
    tokenIds: greedy_ids.slice(0, tokens),
    replays: 0,
    pushes: { lost: 0, mismatched: 0 }
  })
  if (route === 'push') expect(result.pushes.used + result.pushes.late).toBe(2 * tokens)
})
