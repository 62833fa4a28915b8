import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import type { Network, PeerStream } from '../../src/network/index.ts'
import { HostedSession } from '../../src/inference/server/hosted/hosted-session.ts'
import { INFERENCE_PROTOCOL, PUSH_PROTOCOL } from '../../src/wire/index.ts'
import { goldens } from '../e2e/model.ts'
import { ended, until } from '../network/cluster.ts'
import type { PushedStep } from './faulty-network.ts'
import { Stranger } from './stranger.ts'
import { type FaultyNode, Swarm, thirds } from './swarm.ts'

// Whatever strangers pour into a server, its live session says the same text, and nothing is kept of it.

let swarm: Swarm
let first: FaultyNode
let second: FaultyNode
beforeAll(async () => {
  swarm = await Swarm.of(...thirds)
  ;[first, second] = swarm.nodes as [FaultyNode, FaultyNode]
})
afterEach(() => swarm.heal())
afterAll(() => swarm.close())

const { prompt, greedy_ids } = goldens[0]!
const tokens = 12
const expected = greedy_ids.slice(0, tokens)
const count = (reason: string): number => second.ledger.ignored.get(reason) ?? 0

/** Runs one generation, and does something at each step that the first server pushes. */
async function during(what: (genuine: PushedStep) => void): Promise<void> {
  first.network.fault = (step, forward) => {
    what(step)
    forward(step)
  }
  const connection = await swarm.connect()
  const { tokenIds, pushes, replays } = await connection.generate({ prompt, maxNewTokens: tokens }).result
  expect({ tokenIds, replays }).toEqual({ tokenIds: expected, replays: 0 })
  expect(pushes).toMatchObject({ ignored: 0, mismatched: 0, lost: 0 })
}

/** That the session was opened, and that it ended: what a flood adds would be a flood of its own. */
const quiet = (): void => expect(second.log.map(({ message }) => message)).toEqual(['session opened', 'session ended'])

test('forged pushes: read past, counted until the stream is ended, and no buffer is taken for them', async () => {
  const takeBuffer = vi.spyOn(HostedSession.prototype, 'takeBuffer')
  const stranger = await Stranger.of(await swarm.network(), second)
  const modelDigest = await swarm.model.digest()
  const [tensor, forgeries] = [randomBytes(64 * 1024), 20]
  let sent = 0
  await during(({ push }) => {
    for (let i = 0; i < forgeries; i++) {
      stranger.attach(push.pushKey, modelDigest, second.from)
      stranger.push({ push: { ...push, step: i, n: 128 }, bytes: tensor })
      stranger.push({ push: { ...push, pushKey: randomBytes(16) }, bytes: tensor })
      sent += 3
    }
  })
  expect(sent).toBe(tokens * forgeries * 3)
  await until(() => stranger.ended)
  const counted = [...second.ledger.ignored.values()].reduce((sum, each) => sum + each, 0)
  expect(counted).toBeGreaterThan(100)
  expect(counted).toBeLessThan(sent / 2)
  for (const reason of ['foreign-peer', 'not-attached', 'unknown-session'])
    expect(count(reason), reason).toBeGreaterThan(0)
  expect(second.ledger.pushStreamsEnded).toBe(1)
  expect(stranger.heard, 'a stranger is told nothing').toBe(0)
  const genuine = swarm.nodes.reduce((sum, { network }) => sum + network.pushed.length, 0)
  expect(takeBuffer).toHaveBeenCalledTimes(genuine)
  takeBuffer.mockRestore()
  quiet()
})

test('streams of garbage: each is ended, none of them reaches a session', async () => {
  const network = await swarm.network()
  const streams: Promise<unknown>[] = []
  await during(() => {
    // A header longer than any may be, and one that is no message.
    for (const protocol of [INFERENCE_PROTOCOL, PUSH_PROTOCOL])
      for (const garbage of [Buffer.from('ffffff', 'hex'), Buffer.concat([Buffer.of(1, 0xff), randomBytes(1000)])])
        streams.push(pour(network, protocol, garbage))
  })
  expect(streams).toHaveLength(4 * tokens)
  await Promise.all(streams)
  expect(second.ledger.clients.size).toBe(1)
  expect(count('unknown-session')).toBe(0)
  quiet()
})

/** Resolves when the server has ended the stream. */
async function pour(network: Network, protocol: string, garbage: Uint8Array): Promise<unknown> {
  const stream: PeerStream = await network.openStream(second.address, protocol)
  const end = ended(stream)
  stream.onData = () => undefined
  stream.send([garbage])
  return end
}
