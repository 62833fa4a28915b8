import { expect, it } from 'vitest'
import { createIdentity } from '../../../../src/network/index.ts'
import { Bench, settle } from '../bench.ts'
import { statesOf } from '../fake-runner.ts'

// What is dialled must be an address of just this peer, so these names are real ones.
const [second, third] = await Promise.all([createIdentity(), createIdentity()])

it.each([second.peerId, third.peerId])(
  'a server of a route that does not sign what it computed is named by the first one, which the client would blame else',
  async forger => {
    const bench = new Bench()
    const first = await bench.node('first', [0, 4])
    for (const [i, { peerId }] of [second, third].entries())
      await bench.node(peerId, [4 + 4 * i, 8 + 4 * i], peerId === forger ? { signer: 'somebody else' } : {})
    const hops = [second, third].map(({ peerId }, i) => ({
      peer: { peerId, addresses: ['/ip4/127.0.0.1/tcp/1'], pushKey: new Uint8Array() },
      from: 4 + 4 * i,
      to: 8 + 4 * i
    }))
    const owner = await bench.session(first, { route: { hops, hopsLeft: 2, bytesQuota: 1e8 } })
    owner.step({ step: 0, position: 0, want: 1 }, statesOf(1))
    await settle()
    expect(owner.last('error')).toMatchObject({ code: 'ROUTE_FAILED', peerId: forger })
    expect(owner.all('output')).toEqual([])
  }
)
