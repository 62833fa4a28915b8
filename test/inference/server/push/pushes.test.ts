import { createIdentity } from '../../../../src/network/index.ts'
import { describe, expect, it } from 'vitest'
import { prefixed, pushFrames } from '../../../../src/wire/index.ts'
import { Bench, inputDigest, type Node, type Owner, settle } from '../bench.ts'
import { expectedOutput, statesOf } from '../fake-runner.ts'
import { type Forgery, push, scene, states } from './push-scene.ts'

describe('a push', () => {
  it('is used, answered, and committed by its digest', async () => {
    const set = await scene()
    set.owner.step({ step: 0 })
    push(set)
    await settle()
    expect(set.owner.last('output')).toMatchObject({ usedPush: true, lengths: { length: 1, committed: 0 } })
    expect([...set.owner.told.at(-1)!.tensor!]).toEqual([...expectedOutput(states)])
    set.owner.send({ kind: 'verify', value: { epoch: 0, step: 0, digest: inputDigest(set.node, 0, states) } })
    await settle()
    expect(set.node.server.sessions()).toMatchObject([{ length: 1, committed: 1 }])
  })

  it('that is not what the owner got ends the epoch and is shown with its receipt', async () => {
    const set = await scene()
    set.owner.step({ step: 0 })
    push(set)
    await settle()
    const truth = inputDigest(set.node, 0, statesOf(6))
    set.owner.send({ kind: 'verify', value: { epoch: 0, step: 0, digest: truth } })
    await settle()
    const told = set.owner.last('mismatch')
    expect(told).toMatchObject({ epoch: 0, step: 0, committed: 0 })
    expect(Buffer.compare(told.ownerDigest, truth)).toBe(0)
    expect(told.upstreamReceipt?.statement.length).toBeGreaterThan(0)
    expect(set.node.ledger.mismatches).toBe(1)
    expect(set.node.runner.length(0)).toBe(0)
  })

  it.each<[name: string, forgery: Forgery, reason: string]>([
    ['of another session', { push: { pushKey: new Uint8Array(16) } }, 'unknown-session'],
    ['of no session', { push: { pushKey: new Uint8Array() } }, 'unknown-session'],
    ['with fewer bytes than it says', { push: { n: 2 } }, 'shape'],
    ['of no tokens', { push: { n: 0 } }, 'shape'],
    ['with bytes that are no floats', { tensor: new Uint8Array(15) }, 'shape'],
    ['whose bytes are not those of its digest', { tensor: statesOf(6) }, 'digest'],
    ['without a digest', { push: { digest: new Uint8Array() } }, 'digest'],
    ['with a receipt of other bytes', { statement: { outputDigest: new Uint8Array(32) } }, 'receipt'],
    ['with a receipt of another server', { statement: { server: 'mallory' } }, 'receipt'],
    ['with a receipt for another owner', { statement: { owner: 'mallory' } }, 'receipt'],
    ['with a receipt of another step', { statement: { step: 1 } }, 'receipt'],
    ['with a receipt of another epoch', { statement: { epoch: 1 } }, 'receipt'],
    ['with a receipt of another position', { statement: { position: 1 } }, 'receipt'],
    ['with a receipt of another model', { statement: { modelDigest: new Uint8Array(32) } }, 'receipt'],
    ['with a receipt of blocks that do not end here', { statement: { to: 3 } }, 'receipt'],
    [
      'with garbage for a receipt',
      { push: { receipt: { statement: Uint8Array.of(255), signature: new Uint8Array() } } },
      'receipt'
    ]
  ])('%s changes nothing and is counted', async (_, forgery, reason) => {
    const set = await scene()
    set.owner.step({ step: 0 })
    await settle()
    const before = set.owner.told.length
    push(set, forgery)
    await settle()
    expect(Object.fromEntries(set.node.ledger.ignored)).toEqual({ [reason]: 1 })
    expect(set.owner.told.length).toBe(before)
    expect(set.node.runner.runs).toBe(0)
    push(set)
    await settle()
    expect(set.owner.last('output').usedPush).toBe(true)
  })

  it('of an old epoch, or that is replayed, changes nothing and is counted at the end', async () => {
    const set = await scene()
    set.owner.send({ kind: 'rewind', value: { epoch: 1, length: 0 } })
    set.owner.step({ epoch: 1, step: 0 })
    await settle()
    push(set)
    push(set, { push: { epoch: 1 } })
    push(set, { push: { epoch: 1 } })
    await settle()
    expect([set.node.runner.runs, set.owner.all('output').length]).toEqual([1, 1])
    set.owner.send({ kind: 'close', value: {} })
    await settle()
    expect(set.owner.last('terminated').pushes).toEqual({ used: 1, late: 0, ignored: 2, mismatched: 0 })
    expect(Object.fromEntries(set.node.ledger.ignored)).toEqual({ 'stale-epoch': 1, duplicate: 1 })
  })

  it('with a forged signature is dropped from the hold before it is used', async () => {
    const set = await scene()
    push(set, { signer: 'mallory' })
    await settle()
    set.owner.step({ step: 0 })
    await settle()
    expect([set.node.runner.runs, set.owner.codes]).toEqual([0, []])
    push(set)
    await settle()
    expect(set.owner.last('output').usedPush).toBe(true)
  })

  it('with a forged signature that was used ends the epoch uncommitted', async () => {
    const set = await scene()
    set.owner.step({ step: 0 })
    push(set, { signer: 'mallory' })
    await settle()
    const told = set.owner.last('mismatch')
    expect([told.ownerDigest.length, told.upstreamReceipt]).toEqual([0, null])
    expect(set.node.runner.length(0)).toBe(0)
  })

  it('with a forged signature later in an epoch counts where its bytes are right, and convicts nobody where not', async () => {
    const set = await scene()
    const prove = (step: number, truth: Uint8Array): void =>
      set.owner.send({ kind: 'verify', value: { epoch: 0, step, digest: inputDigest(set.node, step, truth) } })
    for (const step of [0, 1, 2]) {
      set.owner.step({ step, position: step })
      push(set, { push: { step, position: step }, ...(step > 0 && { signer: 'mallory' }) })
    }
    await settle()
    prove(0, states)
    prove(1, states)
    await settle()
    expect(set.node.server.sessions()).toMatchObject([{ length: 3, committed: 2 }])
    prove(2, statesOf(6))
    await settle()
    expect(set.owner.last('mismatch')).toMatchObject({ step: 2, committed: 2, upstreamReceipt: null })
    expect(set.node.runner.length(0)).toBe(2)
  })

  it('of a peer that the owner did not name never gets in, with the right key or without', async () => {
    const set = await scene()
    const mallory = set.bench.upstream(set.node, 'mallory')
    mallory.attach(set.pushKey)
    mallory.attach(new Uint8Array(16))
    await settle()
    expect(mallory.attached).toEqual([])
    set.owner.step({ step: 0 })
    push({ ...set, upstream: mallory })
    await settle()
    expect(Object.fromEntries(set.node.ledger.ignored)).toEqual({
      'foreign-peer': 1,
      'unknown-session': 1,
      'not-attached': 1
    })
    expect(set.node.runner.runs).toBe(0)
  })

  it('is asked for when its upstream says that it has lost the session', async () => {
    const set = await scene()
    set.owner.step({ step: 0 })
    set.owner.send({ kind: 'verify', value: { epoch: 0, step: 0, digest: inputDigest(set.node, 0, states) } })
    set.upstream.send({ kind: 'upstreamGone', value: { pushKey: set.pushKey, reason: 'IDLE' } })
    await settle()
    expect(set.owner.last('needCopy')).toMatchObject({ epoch: 0, step: 0 })
    push(set)
    await settle()
    expect(Object.fromEntries(set.node.ledger.ignored)).toEqual({ 'not-attached': 1 })
  })

  it('uses credit up, which is granted anew before it ends', async () => {
    const set = await scene()
    const [first] = set.upstream.attached
    for (let step = 0; step < first!.steps; step++) push(set, { push: { step, position: step } })
    await settle()
    expect(set.upstream.attached.at(-1)!.steps).toBeGreaterThan(first!.steps)
    expect(set.node.ledger.ignored.get('no-credit')).toBe(undefined)
  })

  it('that stands still is given up as an early one is, and its place is given to others', async () => {
    const set = await scene()
    set.owner.step({ step: 0 })
    set.owner.step({ step: 1, position: 1 })
    await settle()
    const granted = set.upstream.attached[0]!
    const begun = (tensor: number, step: number): Uint8Array =>
      prefixed(
        pushFrames.encode(
          {
            kind: 'push',
            value: { pushKey: set.pushKey, step, position: step, n: 1, receipt: set.upstream.receipt() }
          },
          { tensor, offset: 0, total: states.length, length: 4 }
        )
      )
    const more = (tensor: number, offset: number): Uint8Array =>
      prefixed(pushFrames.encode(null, { tensor, offset, total: states.length, length: 4 }))
    // The first stands still; of the second a little comes.
    set.upstream.stream.send([begun(100, 0), states.subarray(0, 4), begun(101, 1), states.subarray(0, 4)])
    await settle()
    set.bench.clock.advance(2000)
    set.upstream.stream.send([more(101, 4), states.subarray(4, 8)])
    await settle()
    set.bench.clock.advance(1999)
    expect(set.node.ledger.ignored.get('expired')).toBeUndefined()
    set.bench.clock.advance(1)
    expect(set.node.ledger.ignored.get('expired')).toBe(1)
    set.bench.clock.advance(2000)
    expect(set.node.ledger.ignored.get('expired')).toBe(2)
    // Both count as over: what they took of the window is granted again.
    for (let step = 0; step < granted.steps - 2; step++) push(set, { push: { step, position: step } })
    await settle()
    expect(set.upstream.attached.at(-1)!.steps).toBeGreaterThanOrEqual(granted.steps + 2)
    expect(set.owner.last('output').usedPush).toBe(true)
  })

  it('on a stream of garbage takes only that stream with it', async () => {
    const set = await scene()
    const other = set.bench.upstream(set.node)
    other.stream.send([Buffer.from([3, 255, 255, 255])])
    await settle()
    expect([other.stream.ended, set.upstream.stream.ended]).toEqual([true, false])
    set.owner.step({ step: 0 })
    push(set)
    await settle()
    expect(set.owner.last('output').usedPush).toBe(true)
  })
})

describe('attaching', () => {
  it('before the owner names the upstream is answered when it does, and not before', async () => {
    const bench = new Bench()
    const node = await bench.node('server')
    const owner = await bench.session(node)
    const upstream = bench.upstream(node)
    upstream.attach(owner.last('opened').pushKey)
    await settle()
    expect(upstream.attached).toEqual([])
    owner.send({ kind: 'rewind', value: { epoch: 1, length: 0, upstream: 'upstream' } })
    await settle()
    expect(upstream.attached).toHaveLength(1)
  })

  it('ends for the upstream before when the owner names another', async () => {
    const set = await scene()
    push(set, { push: { epoch: 1 } })
    await settle()
    set.owner.send({ kind: 'rewind', value: { epoch: 1, length: 0, upstream: 'other' } })
    set.owner.step({ epoch: 1, step: 0 })
    await settle()
    push(set, { push: { epoch: 1 } })
    await settle()
    expect(set.node.runner.runs).toBe(0)
    expect(set.node.ledger.ignored.get('not-attached')).toBe(1)
    set.owner.send({ kind: 'close', value: {} })
    await settle()
    expect(set.node.ledger.ignored.get('former-upstream')).toBe(1)
  })

  it('of another model or another boundary is not answered', async () => {
    const set = await scene()
    const before = set.upstream.attached.length
    set.upstream.attach(set.pushKey, 3)
    set.upstream.send({ kind: 'attach', value: { pushKey: set.pushKey, modelDigest: new Uint8Array(32), boundary: 0 } })
    await settle()
    expect(set.upstream.attached.length).toBe(before)
    expect(set.node.ledger.ignored.get('shape')).toBe(2)
  })
})

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

describe('a push stream', () => {
  it('on which nobody has attached, or nobody is any more, is closed after half a minute', async () => {
    const { bench, node, owner, upstream } = await scene()
    const stranger = bench.upstream(node, 'stranger')
    bench.clock.advance(29_999)
    await settle()
    expect([stranger.stream.ended, upstream.stream.ended]).toEqual([false, false])
    bench.clock.advance(1)
    await settle()
    expect([stranger.stream.ended, upstream.stream.ended]).toEqual([true, false])
    owner.send({ kind: 'close', value: {} })
    await settle()
    bench.clock.advance(30_000)
    await settle()
    expect(upstream.stream.ended).toBe(true)
  })
})
