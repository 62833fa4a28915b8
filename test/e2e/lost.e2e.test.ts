import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest'
import { systemClock, pause } from '../../src/base/index.ts'
import type { ServerProcess } from '../../src/bench/index.ts'
import type { GenerationResult } from '../../src/client/index.ts'
import { connect } from '../../src/node/index.ts'
import { Program } from '../cli/program.ts'
import { Gate } from './gate.ts'
import { evenSpans, goldens, shakespeare, shakespeareBlocks } from './model.ts'
import { catchMidway, patience, serveSpans, sessionsOf, stopAll, until } from './swarm.ts'

// A server whose connections are lost again and again, though it is well, and no other can take its place: it is waited for.

vi.setConfig({ testTimeout: patience, hookTimeout: patience })

const { prompt, greedy_ids, text } = goldens[0]!
/** Under delegate the client has a connection to the first server only. */
const cases = [
  { route: 'relay', victim: 0 },
  { route: 'relay', victim: 1 },
  { route: 'push', victim: 0 },
  { route: 'push', victim: 2 },
  { route: 'delegate', victim: 0 }
] as const

let servers: ServerProcess[] = []
let gates: Gate[] = []
beforeAll(async () => {
  servers = await serveSpans(evenSpans(shakespeareBlocks, 3))
})
afterEach(() => {
  for (const gate of gates) gate.close()
})
afterAll(() => stopAll(servers))

/** Where the servers are reached, each through a gate of its own. */
async function gated(): Promise<string[]> {
  gates = await Promise.all(servers.map(server => Gate.before(server)))
  return gates.map(({ address }) => address)
}

it.each(cases)(
  'at opening, and at the first tokens, by $route, server $victim: the text is whole',
  async ({ route, victim }) => {
    const connection = await connect({ model: shakespeare, peers: await gated(), route })
    // The connection that it was asked over is gone, and those who come are hung up on.
    gates[victim]!.break(3)
    const generation = connection.generate({ prompt, maxNewTokens: greedy_ids.length })
    let shown = 0
    for await (const { tokenId } of generation) if (tokenId !== null && ++shown <= 2) gates[victim]!.break(3)
    const { tokenIds, committed } = await generation.result
    await connection.close()
    expect(tokenIds).toEqual(greedy_ids)
    expect(committed).toBeGreaterThan(greedy_ids.length)
    for (const server of servers) expect(await sessionsOf(server)).toEqual([])
  }
)

it('for longer than its session is kept: it is waited for, and the text is the golden one', async () => {
  const peers = await gated()
  const asked = ['--prompt', prompt, '--max-new-tokens', String(greedy_ids.length), '--json', '--wait', '60s']
  const begin = (): Program => new Program('generate', ['--peers', peers.join(), ...asked])
  const [, middle] = servers
  const { client, thaw } = await catchMidway(begin, [middle!], { least: 1, most: 70 })
  thaw()
  gates[1]!.break(Number.POSITIVE_INFINITY)
  await until(async () => (await sessionsOf(middle!)).length === 0)
  // It was tried for a while, and is not found before this is over.
  await pause(systemClock, 1_000, new AbortController().signal)
  gates[1]!.break(0)
  const { status, out, err } = await client.ended
  expect(status, err).toBe(0)
  expect(JSON.parse(out) as GenerationResult).toMatchObject({ tokenIds: greedy_ids, text, finishReason: 'length' })
  expect(err).toMatch('waiting for a server that was lost')
  for (const server of servers) expect(await sessionsOf(server)).toEqual([])
})
