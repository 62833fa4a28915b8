import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { PushFigures, RouteName } from '../../src/client/index.ts'
import type { VerifyPolicyName } from '../../src/wire/index.ts'
import { goldens } from '../e2e/model.ts'
import type { PushFault } from './faulty-network.ts'
import { delay, dropAll, dropEveryTenth, duplicate, reverse } from './push-faults.ts'
import { Swarm, thirds } from './swarm.ts'

// Whatever the network does to pushes, the text is the golden one.

let swarm: Swarm
beforeAll(async () => {
  swarm = await Swarm.of(...thirds)
})
afterEach(() => swarm.heal())
afterAll(() => swarm.close())

const { prompt, greedy_ids } = goldens[0]!
const policies = ['copy', 'digest', 'auto', 'none'] as const
/** Server-steps of one token that are pushed. */
const EDGES = 2

async function generate(tokens: number, fault: () => PushFault, ask: { verify: VerifyPolicyName; route?: RouteName }) {
  for (const { network } of swarm.nodes) network.fault = fault()
  const connection = await swarm.connect()
  const result = await connection.generate({ prompt, maxNewTokens: tokens, ...ask }).result
  expect(result.tokenIds).toEqual(greedy_ids.slice(0, tokens))
  expect(result.proofs).toEqual([])
  return result
}

describe.each(policies)('verified by %s', verify => {
  // Without a proof to expect it, a push is waited for a second.
  const tokens = verify === 'none' ? 3 : 12

  test('all pushes lost: every input is the owner copy', async () => {
    const { pushes } = await generate(tokens, () => dropAll, { verify })
    expect(pushes).toMatchObject({ sent: EDGES * tokens, used: 0, late: 0, ignored: 0, lost: EDGES * tokens })
  })

  test('every tenth push lost: the others arrive', async () => {
    const faults: { dropped: number }[] = []
    const fault = (): PushFault => {
      const one = dropEveryTenth()
      faults.push(one)
      return one
    }
    const { pushes } = await generate(12, fault, { verify })
    const dropped = faults.reduce((sum, one) => sum + one.dropped, 0)
    expect(dropped).toBe(EDGES)
    expect(pushes).toMatchObject({ sent: EDGES * 12, ignored: 0, mismatched: 0, lost: dropped })
    expect(pushes.used + pushes.late).toBe(EDGES * 12 - dropped)
    expect(pushes.used).toBeGreaterThan(0)
  })

  test('all pushes later than the copy: late, and of no harm', async () => {
    const { pushes } = await generate(tokens, delay, { verify })
    expect(pushes).toMatchObject({ used: 0, ignored: 0, mismatched: 0, lost: EDGES })
    expect(pushes.late).toBe(EDGES * (tokens - 1))
  })

  test('all pushes twice: the second is ignored', async () => {
    const { pushes } = await generate(12, () => duplicate, { verify })
    expect(pushes).toMatchObject({ mismatched: 0, lost: 0 })
    expect(pushes.used + pushes.late + pushes.ignored).toBe(2 * EDGES * 12)
    expect(pushes.used).toBeGreaterThan(0)
    expect(pushes.ignored).toBeGreaterThan(0)
  })

  test('several steps under way, their pushes in reverse', async () => {
    const promptIds = Array.from({ length: 300 }, (_, i) => (i * 37) % 1000)
    const connection = await swarm.connect()
    const ask = { promptIds, maxNewTokens: 2, verify }
    const relayed = await connection.generate({ ...ask, route: 'relay' }).result
    // The prompt goes through in three steps.
    for (const { network } of swarm.nodes) network.fault = reverse(3)
    const { tokenIds, pushes } = await connection.generate({ ...ask, maxNewTokens: 1 }).result
    expect(tokenIds).toEqual(relayed.tokenIds.slice(0, 1))
    expect(pushes).toMatchObject({ sent: EDGES * 3, ignored: 0, mismatched: 0, lost: 0 })
  })
})

describe.each(policies)('left to the first server, verified by %s', verify => {
  const tokens = verify === 'none' ? 3 : 12
  // It pushes to nobody: the second server is given its inputs, and pushes to the third.
  test.each<[string, number, () => PushFault, (pushes: PushFigures) => void]>([
    ['all pushes lost', tokens, () => dropAll, ({ used, late }) => expect([used, late]).toEqual([0, 0])],
    ['every tenth push lost', 12, dropEveryTenth, ({ used, late }) => expect(used + late).toBe(11)],
    ['all pushes late', tokens, delay, ({ used, late }) => expect([used, late]).toEqual([0, tokens - 1])],
    [
      'all pushes twice',
      12,
      () => duplicate,
      ({ used, late, ignored }) => {
        expect(used + late + ignored).toBe(2 * 12)
        expect(used).toBeGreaterThan(0)
      }
    ]
  ])('%s', async (_, count, fault, expectPushes) => {
    const { pushes } = await generate(count, fault, { verify, route: 'delegate' })
    expect(pushes.mismatched).toBe(0)
    expectPushes(pushes)
  })
})

test.each(policies)('relayed, verified by %s: nothing is pushed that could be lost', async verify => {
  const { pushes } = await generate(12, () => dropAll, { verify, route: 'relay' })
  expect(Object.values(pushes)).toEqual(Object.values(pushes).map(() => 0))
  expect(swarm.nodes.flatMap(({ network }) => network.pushed)).toEqual([])
})
