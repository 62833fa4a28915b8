import { expect, it } from 'vitest'
import { createIdentity } from '../../../../src/network/index.ts'
import { INFERENCE_PROTOCOL } from '../../../../src/wire/index.ts'
import { Bench, type Owner, settle } from '../bench.ts'
import { statesOf } from '../fake-runner.ts'
import { SlowServer } from './slow-server.ts'

/** A route that stands, whose second server answers rewinds when it is told to. */
async function slowRoute(): Promise<{ owner: Owner; second: SlowServer }> {
  const bench = new Bench()
  const first = await bench.node('first', [0, 4])
  const { peerId } = await createIdentity()
  const second = new SlowServer()
  await bench.networks.of(peerId).handle(INFERENCE_PROTOCOL, stream => second.accept(stream))
  const hops = [{ peer: { peerId, addresses: ['/ip4/127.0.0.1/tcp/1'], pushKey: new Uint8Array() }, from: 4, to: 8 }]
  const owner = bench.owner(first)
  const open = { version: 1, from: 0, to: 4, id: new Uint8Array(16).fill(1), modelDigest: new Uint8Array(32).fill(7) }
  owner.send({ kind: 'open', value: { ...open, route: { hops, hopsLeft: 1, bytesQuota: 1e8 } } })
  await settle()
  await second.answer()
  owner.last('opened')
  return { owner, second }
}

it('rewinds that come while one is under way are passed on as one, the last, and all are answered', async () => {
  const { owner, second } = await slowRoute()
  const many = 50
  for (let epoch = 1; epoch <= many; epoch++) owner.send({ kind: 'rewind', value: { epoch, length: 0 } })
  await settle()
  expect(second.rewinds.length, 'one is under way').toBe(2)
  expect(owner.all('rewound')).toEqual([])
  await second.answer()
  expect(second.rewinds.length, 'all others are one').toBe(3)
  await second.answer()
  expect(second.rewinds.length).toBe(3)
  expect(owner.all('rewound').map(({ epoch }) => epoch)).toEqual(Array.from({ length: many }, (_, i) => i + 1))
  owner.step({ epoch: many, step: 0, position: 0, want: 1 }, statesOf(1))
  await settle()
  expect(owner.codes).toEqual([])
})

it('a step that waits for a rewind is none of the next epoch, where another rewind comes meanwhile', async () => {
  const { owner, second } = await slowRoute()
  owner.send({ kind: 'rewind', value: { epoch: 1, length: 0 } })
  owner.step({ epoch: 1, step: 0, position: 0, want: 1 }, statesOf(1))
  await settle()
  owner.send({ kind: 'rewind', value: { epoch: 2, length: 0 } })
  await settle()
  await second.answer()
  await second.answer()
  expect(second.steps).toEqual([])
  owner.step({ epoch: 2, step: 0, position: 0, want: 1 }, statesOf(1))
  await settle()
  expect(second.steps.map(({ epoch, step, position }) => [epoch, step, position])).toEqual([[3, 0, 0]])
  expect(owner.codes).toEqual([])
})

it('two rewinds at once to different lengths leave the route at the second', async () => {
  const bench = new Bench()
  const first = await bench.node('first', [0, 4])
  const { peerId } = await createIdentity()
  const second = await bench.node(peerId, [4, 8])
  const hops = [{ peer: { peerId, addresses: ['/ip4/127.0.0.1/tcp/1'], pushKey: new Uint8Array() }, from: 4, to: 8 }]
  const owner = await bench.session(first, { route: { hops, hopsLeft: 1, bytesQuota: 1e8 } })
  owner.step({ step: 0, position: 0, want: 1 }, statesOf(1))
  await settle()
  expect(second.server.sessions()).toMatchObject([{ length: 1, committed: 1 }])
  owner.send({ kind: 'rewind', value: { epoch: 1, length: 1 } })
  owner.send({ kind: 'rewind', value: { epoch: 2, length: 0 } })
  await settle()
  expect(owner.codes).toEqual([])
  expect(owner.all('rewound').map(({ epoch }) => epoch)).toEqual([1, 2])
  expect(second.server.sessions()).toMatchObject([{ length: 0, committed: 0 }])
})
