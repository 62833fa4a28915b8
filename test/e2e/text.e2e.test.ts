import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ServerProcess } from '../../src/bench/index.ts'
import { type Connection, connect } from '../../src/node/index.ts'
import { evenSpans, type Golden, goldens, shakespeare, shakespeareBlocks } from './model.ts'
import { addressesOf, generate, generating, serveSpans, sessionsOf, stopAll, until } from './swarm.ts'

// One chain of three servers: what the text depends on, and what it does not.

const slots = 4
let servers: ServerProcess[] = []
beforeAll(async () => {
  servers = await serveSpans(evenSpans(shakespeareBlocks, 3), ['--max-sessions', String(slots)])
})
afterAll(() => stopAll(servers))

const greedy = ({ prompt, greedy_ids }: Golden): string[] => [
  ...['--prompt', prompt, '--max-new-tokens', String(greedy_ids.length)]
]

it.each(goldens.map(golden => [golden.prompt, golden] as const))(
  '%j goes on as transformers says',
  async (_, golden) => {
    const { status, out, err } = await generating(servers, greedy(golden))
    expect({ status, out, err }).toEqual({ status: 0, out: golden.text, err: '' })
  }
)

describe('with a connection of the library', () => {
  let connection: Connection
  beforeAll(async () => {
    connection = await connect({ model: shakespeare, peers: addressesOf(servers).reverse(), threads: 1 })
  })
  afterAll(() => connection.close())

  it.each(['copy', 'digest', 'auto', 'none'] as const)('--verify %s changes nothing in the text', async verify => {
    const { prompt, greedy_ids, text } = goldens[0]!
    const result = await connection.generate({ prompt, maxNewTokens: 48, verify }).result
    expect(result.tokenIds).toEqual(greedy_ids.slice(0, 48))
    expect(text).toContain(result.text)
    const { sent, used, late, ignored, mismatched, lost } = result.pushes
    expect(used).toBeGreaterThan(0)
    expect({ mismatched, sent }).toEqual({ mismatched: 0, sent: used + late + ignored + lost })
    expect(result.verified > 0).toBe(verify !== 'none')
  })

  it.each([1, 2, 3])('a seed says what is sampled, whatever the route: %d', async seed => {
    const ask = { prompt: 'JULIET:\n', maxNewTokens: 24, temperature: 0.9, topK: 40, seed }
    const [relay, push, other] = await Promise.all([
      connection.generate({ ...ask, route: 'relay' }).result,
      connection.generate({ ...ask, route: 'push' }).result,
      connection.generate({ ...ask, seed: seed + 100 }).result
    ])
    expect(push.tokenIds).toEqual(relay.tokenIds)
    expect(other.tokenIds).not.toEqual(relay.tokenIds)
  })

  it('more generations than slots: some wait, and none disturbs another', async () => {
    // The later halves begin within the golden text: eight different prompts with known continuations.
    const asks = goldens.flatMap(({ prompt_ids, greedy_ids }) => [
      { promptIds: prompt_ids, expected: greedy_ids },
      { promptIds: [...prompt_ids, ...greedy_ids.slice(0, 10)], expected: greedy_ids.slice(10) }
    ])
    const generations = asks.map(({ promptIds, expected }) =>
      connection.generate({ promptIds, maxNewTokens: expected.length })
    )
    // At whichever server comes first in the order of peer ids: who waits there holds nothing behind it.
    const waiting = until(async () => {
      const sessions = await Promise.all(servers.map(sessionsOf))
      return sessions.flat().some(({ state }) => state === 'queued')
    })
    const results = await Promise.all(generations.map(({ result }) => result))
    await waiting
    for (const [i, { expected }] of asks.entries()) expect(results[i]?.tokenIds, `generation ${i}`).toEqual(expected)
  })
})

it('samples and stops as it is told on the command line', async () => {
  const { prompt, text } = goldens[2]!
  const [greedyRun, sampled, again] = await Promise.all([
    generate(servers, ['--prompt', prompt, '--stop', 'DUKE', '--temperature', '0']),
    ...[0, 1].map(() =>
      generate(servers, ['--prompt', prompt, '--temperature', '1', '--seed', '7', '--max-new-tokens', '16'])
    )
  ])
  expect(greedyRun).toMatchObject({ text: text.slice(0, text.indexOf('DUKE')), finishReason: 'stop' })
  expect(sampled).toMatchObject({ settings: { temperature: 1, seed: 7 }, tokenIds: again!.tokenIds })
})
