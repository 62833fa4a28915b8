import { describe, expect, it } from 'vitest'
import { createIdentity } from '../../../../src/network/index.ts'
import { Bench, type Node, type Owner, settle } from '../bench.ts'
import { expectedOutput, statesOf } from '../fake-runner.ts'

// What is dialled must be an address of just this peer, so this name is a real one.
const { peerId: second } = await createIdentity()

describe('two servers', () => {
  async function chain(): Promise<{ bench: Bench; nodes: [Node, Node]; owners: [Owner, Owner] }> {
    const bench = new Bench()
    const nodes: [Node, Node] = [await bench.node('first', [0, 4]), await bench.node(second, [4, 8])]
    const owners: [Owner, Owner] = [await bench.session(nodes[0]), await bench.session(nodes[1], { upstream: 'first' })]
    return { bench, nodes, owners }
  }
  const nextOf = (owner: Owner) => ({
    peerId: second,
    addresses: ['/ip4/127.0.0.1/tcp/1'],
    pushKey: owner.last('opened').pushKey
  })

  it('hand a step on: the second starts before the client has the first answer', async () => {
    const { nodes, owners } = await chain()
    const [first, second] = owners
    first.send({ kind: 'rewind', value: { epoch: 1, length: 0, next: nextOf(second) } })
    second.send({ kind: 'rewind', value: { epoch: 1, length: 0 } })
    await settle()
    expect(Buffer.compare(first.last('rewound').attached, second.last('opened').pushKey)).toBe(0)
    for (let step = 0; step < 3; step++) {
      second.step({ epoch: 1, step, position: step })
      first.step({ epoch: 1, step, position: step }, statesOf(step + 1))
      await settle()
      const [given, used] = [first.last('output'), second.last('output')]
      expect(used.usedPush).toBe(true)
      expect(Buffer.compare(given.outputDigest, used.inputDigest)).toBe(0)
      second.send({ kind: 'verify', value: { epoch: 1, step, digest: given.outputDigest } })
    }
    await settle()
    const whole = expectedOutput(expectedOutput(statesOf(1, 2, 3)))
    const got = second.told.filter(({ kind }) => kind === 'output').map(({ tensor }) => tensor!)
    expect([...Buffer.concat(got)]).toEqual([...whole])
    expect(nodes[1].server.sessions()).toMatchObject([{ length: 3, committed: 3 }])
    expect(nodes[0].ledger.pushes).toMatchObject({ sent: 3, dropped: 0 })
  })

  it('that do not know each other: the first says after a second that none is attached', async () => {
    const { bench, owners } = await chain()
    const [first, second] = owners
    first.send({
      kind: 'rewind',
      value: { epoch: 1, length: 0, next: { ...nextOf(second), pushKey: new Uint8Array(16).fill(9) } }
    })
    await settle()
    expect(first.all('rewound')).toEqual([])
    bench.clock.advance(1000)
    await settle()
    expect(first.last('rewound')).toMatchObject({ notAttached: 2 })
    expect(first.last('rewound').attached).toHaveLength(0)
    first.step({ epoch: 1, step: 0 }, statesOf(1))
    await settle()
    expect(first.last('output')).toMatchObject({ notPushed: 2 })
  })

  it('an owner that names ever other sessions as the next makes the first attach so often, and has no stream ended', async () => {
    const { bench, nodes, owners } = await chain()
    const [first, second] = owners
    // The stream is another client's, so that no dial is needed.
    const id = new Uint8Array(16).fill(2)
    const others = [await bench.session(nodes[0], { id }), await bench.session(nodes[1], { id, upstream: 'first' })]
    others[0]!.send({ kind: 'rewind', value: { epoch: 1, length: 0, next: nextOf(others[1]!) } })
    await settle()
    for (let key = 0; key < 300; key++) {
      const pushKey = new Uint8Array(16).fill(key % 251)
      first.step({ epoch: 9, step: 0, next: { ...nextOf(second), pushKey } })
      await settle()
    }
    expect(nodes[1].ledger.ignored.get('unknown-session')).toBe(64 - 1)
    expect(nodes[1].ledger.pushStreamsEnded).toBe(0)
    // It has a few a second; others are not concerned.
    bench.clock.advance(1000)
    first.send({ kind: 'rewind', value: { epoch: 1, length: 0, next: nextOf(second) } })
    await settle()
    expect(Buffer.compare(first.last('rewound').attached, second.last('opened').pushKey)).toBe(0)
  })

  it('the first ends: the second is told, and its session goes on with copies', async () => {
    const { nodes, owners } = await chain()
    const [first, second] = owners
    first.send({ kind: 'rewind', value: { epoch: 1, length: 0, next: nextOf(second) } })
    second.send({ kind: 'rewind', value: { epoch: 1, length: 0 } })
    await settle()
    first.send({ kind: 'close', value: {} })
    await settle()
    second.step({ epoch: 1, step: 0 }, statesOf(1))
    await settle()
    expect(second.last('output')).toMatchObject({ usedPush: false, lengths: { length: 1, committed: 1 } })
    expect(nodes[1].server.sessions()).toHaveLength(1)
  })
})
