import { expect, it } from 'vitest'
import { createIdentity } from '../../../../src/network/index.ts'
import { Bench, openOf, settle } from '../bench.ts'

const { peerId } = await createIdentity()

it.each([
  { asked: -1, counts: -1 },
  { asked: 1, counts: 0 }
])(
  'a route that asks for priority $asked has $counts on all its servers, as on the first',
  async ({ asked, counts }) => {
    const bench = new Bench()
    const [first, second] = [await bench.node('first', [0, 4]), await bench.node(peerId, [4, 8])]
    const peer = { peerId, addresses: ['/ip4/127.0.0.1/tcp/1'], pushKey: new Uint8Array() }
    const route = { hops: [{ peer, from: 4, to: 8 }], hopsLeft: 1, bytesQuota: 1e8 }
    const owner = bench.owner(first)
    owner.send({ kind: 'open', value: openOf(first, { route, priority: asked }) })
    await settle()
    for (const { server } of [first, second])
      expect([...server.table.sessions].map(({ priority }) => priority)).toEqual([counts])
  }
)
