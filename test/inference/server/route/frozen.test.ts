import { expect, it } from 'vitest'
import { createIdentity } from '../../../../src/network/index.ts'
import { INFERENCE_PROTOCOL } from '../../../../src/wire/index.ts'
import { Bench, type Node, openOf, type Owner, settle } from '../bench.ts'
import { statesOf } from '../fake-runner.ts'
import { SlowServer } from './slow-server.ts'

// A route that a client left to its first server, and a server of it that says nothing any more: the client is told which
// one, before it takes the first for lost itself, and the others are free again.

// What is dialled must be an address of just this peer, so these names are real ones.
const [second, third] = await Promise.all([createIdentity(), createIdentity()])

/** What a client waits for the answer to a rewind, ms. */
const REWIND_TIMEOUT_MS = 3_000

interface Scene {
  readonly bench: Bench
  readonly nodes: readonly [Node, Node, Node]
  readonly route: NonNullable<ReturnType<typeof openOf>['route']>
}

async function scene(thirdTo = 12): Promise<Scene> {
  const bench = new Bench()
  const nodes = [
    await bench.node('first', [0, 4]),
    await bench.node(second.peerId, [4, 8]),
    await bench.node(third.peerId, [8, thirdTo])
  ] as const
  const hops = [second, third].map(({ peerId }, i) => ({
    peer: { peerId, addresses: ['/ip4/127.0.0.1/tcp/1'], pushKey: new Uint8Array() },
    from: 4 + 4 * i,
    to: 8 + 4 * i
  }))
  return { bench, nodes, route: { hops, hopsLeft: 2, bytesQuota: 1e8 } }
}

const open = async ({ bench, nodes: [first], route }: Scene): Promise<Owner> => {
  const owner = bench.owner(first)
  owner.send({ kind: 'open', value: openOf(first, { route }) })
  await settle()
  return owner
}

const sessionsOf = ({ nodes }: Scene): number[] => nodes.map(({ server }) => server.sessions().length)

it('while it opens another server refuses: its owner is told at once, and does not wait for the frozen one', async () => {
  // The third does not serve the blocks that it is asked for.
  const opening = await scene(13)
  opening.bench.networks.freeze(second.peerId)
  const owner = await open(opening)
  expect(owner.last('error')).toMatchObject({ code: 'ROUTE_FAILED', peerId: third.peerId })
  expect(sessionsOf(opening)).toEqual([0, 0, 0])
})

it('while it opens one refuses: those that have granted are given back', async () => {
  const opening = await scene(13)
  const owner = await open(opening)
  expect(owner.last('error')).toMatchObject({ code: 'ROUTE_FAILED', peerId: third.peerId })
  expect(sessionsOf(opening)).toEqual([0, 0, 0])
})

it('whose owner leaves while it opens is ended at once, though one of its servers says nothing any more', async () => {
  const opening = await scene()
  await opening.bench.networks.of(third.peerId).handle(INFERENCE_PROTOCOL, stream => new SlowServer().accept(stream))
  const owner = await open(opening)
  expect(sessionsOf(opening).slice(0, 2), 'it has granted, and does not answer').toEqual([1, 1])
  owner.send({ kind: 'close', value: {} })
  await settle()
  expect(sessionsOf(opening).slice(0, 2)).toEqual([0, 0])
})

it.each([
  { victim: 1, peerId: second.peerId, left: [0, 1, 0] },
  { victim: 2, peerId: third.peerId, left: [0, 0, 1] }
])(
  'in a rewind: its owner is told that server $victim is the one, before it gives up on the first',
  async ({ peerId, left }) => {
    const running = await scene()
    const owner = await open(running)
    owner.step({ step: 0, position: 0, want: 1 }, statesOf(1))
    await settle()
    expect(owner.last('output').step).toBe(0)
    running.bench.networks.freeze(peerId)
    owner.send({ kind: 'rewind', value: { epoch: 1, length: 0 } })
    // A server waits 1 s for the next one's answer to its attach.
    for (let waited = 0; waited < REWIND_TIMEOUT_MS - 1; waited += 500) {
      await settle()
      running.bench.clock.advance(Math.min(500, REWIND_TIMEOUT_MS - 1 - waited))
    }
    await settle()
    expect(owner.last('error')).toMatchObject({ code: 'ROUTE_FAILED', peerId })
    // Their goodbyes are answered; the frozen one has heard none.
    expect(sessionsOf(running)).toEqual(left)
  }
)
