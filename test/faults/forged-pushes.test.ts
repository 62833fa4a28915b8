import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { goldens } from '../e2e/model.ts'
import { until } from '../network/cluster.ts'
import type { PushedStep } from './faulty-network.ts'
import { claim } from './push-faults.ts'
import { Stranger } from './stranger.ts'
import { type FaultyNode, Swarm, thirds } from './swarm.ts'

// A push that should not be changes nothing in a live session, and is counted by its reason.

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
const ask = { prompt, maxNewTokens: tokens, verify: 'digest' } as const
const expected = greedy_ids.slice(0, tokens)
const ignored = (): Record<string, number> => Object.fromEntries(second.ledger.ignored)

describe('from the upstream server itself, behind each push', () => {
  type Forge = (step: PushedStep) => PushedStep
  const signed = (step: PushedStep): PushedStep => claim(first, step, first.identity.sign)

  test.each<[string, string, number, Forge]>([
    ['the same again', 'duplicate', tokens, step => step],
    [
      'of an epoch that is over',
      'stale-epoch',
      tokens,
      ({ push, bytes }) => signed({ push: { ...push, epoch: 0 }, bytes })
    ],
    // The first eight are kept to be compared with their copies.
    ['the first one again', 'stale-step', tokens - 9, () => first.network.pushed[0]!],
    [
      'for another position',
      'position',
      tokens,
      ({ push, bytes }) => signed({ push: { ...push, position: push.position + 1 }, bytes })
    ],
    ['of half a row', 'shape', tokens, ({ push, bytes }) => ({ push, bytes: bytes.subarray(0, 256) })],
    ['of more tokens than bytes', 'shape', tokens, ({ push, bytes }) => ({ push: { ...push, n: push.n + 1 }, bytes })],
    ['of no tokens', 'shape', tokens, ({ push, bytes }) => ({ push: { ...push, n: 0 }, bytes })],
    [
      'with other bytes than its digest',
      'digest',
      tokens,
      ({ push, bytes }) => ({ push, bytes: bytes.map(byte => ~byte) })
    ],
    [
      'with the receipt of another step',
      'receipt',
      tokens,
      ({ push, bytes }) => ({ push: { ...push, step: push.step + 1 }, bytes })
    ],
    [
      'with a receipt that does not decode',
      'receipt',
      tokens,
      ({ push, bytes }) => ({
        push: { ...push, receipt: { statement: Buffer.from('ff', 'hex'), signature: Buffer.alloc(64) } },
        bytes
      })
    ],
    [
      'into a session that is not',
      'unknown-session',
      tokens,
      ({ push, bytes }) => ({ push: { ...push, pushKey: randomBytes(16) }, bytes })
    ]
  ])('%s: %s', async (_, reason, count, forgery) => {
    first.network.fault = (step, forward) => {
      forward(step)
      forward(forgery(step))
    }
    const connection = await swarm.connect()
    const result = await connection.generate(ask).result
    expect(result).toMatchObject({ tokenIds: expected, proofs: [], replays: 0, pushes: { mismatched: 0, lost: 0 } })
    expect(result.pushes.used + result.pushes.late).toBe(2 * tokens)
    await until(() => second.server.sessions().length === 0)
    expect(ignored()[reason]).toBe(count)
  })
})

test('into a session of another owner: only its own upstream may', async () => {
  const connection = await swarm.connect()
  const other = await swarm.connect()
  const before = await other.generate(ask).result
  const keys = new Set(first.network.pushed.map(({ push }) => Buffer.from(push.pushKey).toString('hex')))
  expect([before.tokenIds, keys.size]).toEqual([expected, 1])

  // Two live sessions over the same push stream: each push goes to the other one, too.
  const keyOf = new Map<string, Uint8Array>()
  first.network.fault = (step, forward) => {
    forward(step)
    keyOf.set(Buffer.from(step.push.pushKey).toString('hex'), step.push.pushKey)
    for (const pushKey of keyOf.values())
      if (!Buffer.from(pushKey).equals(step.push.pushKey)) forward({ ...step, push: { ...step.push, pushKey } })
  }
  const both = await Promise.all([connection.generate(ask).result, other.generate(ask).result])
  for (const { tokenIds, pushes } of both) {
    expect(tokenIds).toEqual(expected)
    expect(pushes).toMatchObject({ ignored: 0, mismatched: 0, lost: 0 })
  }
  expect(ignored()['receipt'], 'receipts name the owner').toBeGreaterThan(0)
})

describe('from a peer that nobody named', () => {
  test('with any key, attached or not: nothing is answered, and nothing changes', async () => {
    const stranger = await Stranger.of(await swarm.network(), second)
    const modelDigest = await swarm.model.digest()
    let sent = 0
    first.network.fault = (genuine, forward) => {
      const { pushKey } = genuine.push
      stranger.attach(pushKey, modelDigest, second.from)
      stranger.push(genuine)
      stranger.push({ ...genuine, push: { ...genuine.push, pushKey: randomBytes(16) } })
      stranger.attach(pushKey, modelDigest, second.from + 1)
      sent++
      // The session stays until all of it was seen.
      void until(() => ['unknown-session', 'not-attached', 'shape'].every(why => ignored()[why] === sent)).then(() =>
        forward(genuine)
      )
    }
    const connection = await swarm.connect()
    const result = await connection.generate(ask).result
    expect(result).toMatchObject({ tokenIds: expected, replays: 0, pushes: { ignored: 0, mismatched: 0, lost: 0 } })
    expect(sent).toBe(tokens)
    expect(ignored()).toMatchObject({ 'not-attached': sent, 'unknown-session': sent, shape: sent })
    // The genuine upstream may have asked before it was named.
    expect(ignored()['foreign-peer']! - sent).toBeOneOf([0, 1])
    expect(stranger.heard).toBe(0)
  })
})
