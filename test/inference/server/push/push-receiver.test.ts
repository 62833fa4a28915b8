import { describe, expect, it } from 'vitest'
import { prefixed, pushFrames } from '../../../../src/wire/index.ts'
import { inputDigest, settle } from '../bench.ts'
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

  it('that is signed as of another session than the owner has with its upstream is ignored: it would prove nothing', async () => {
    const set = await scene()
    const [named, other] = [new Uint8Array(16).fill(1), new Uint8Array(16).fill(2)]
    const rewind = { epoch: 1, length: 0, upstream: 'upstream', upstreamIncarnation: named }
    set.owner.send({ kind: 'rewind', value: rewind })
    set.owner.step({ epoch: 1, step: 0 })
    await settle()
    push(set, { push: { epoch: 1 }, statement: { incarnation: other } })
    await settle()
    expect(Object.fromEntries(set.node.ledger.ignored)).toEqual({ receipt: 1 })
    // A rewind that leaves the upstream as it was leaves its session as well.
    set.owner.send({ kind: 'rewind', value: { epoch: 2, length: 0 } })
    set.owner.step({ epoch: 2, step: 0 })
    await settle()
    push(set, { push: { epoch: 2 }, statement: { incarnation: other } })
    push(set, { push: { epoch: 2 }, statement: { incarnation: named } })
    await settle()
    expect(Object.fromEntries(set.node.ledger.ignored)).toEqual({ receipt: 2 })
    expect(set.owner.last('output')).toMatchObject({ epoch: 2, usedPush: true })
  })

  it('that was held for its epoch is dropped where the owner names another session of its upstream with that', async () => {
    const set = await scene()
    const [named, other] = [new Uint8Array(16).fill(1), new Uint8Array(16).fill(2)]
    push(set, { push: { epoch: 1 }, statement: { incarnation: other } })
    await settle()
    const rewind = { epoch: 1, length: 0, upstream: 'upstream', upstreamIncarnation: named }
    set.owner.send({ kind: 'rewind', value: rewind })
    set.owner.step({ epoch: 1, step: 0 })
    await settle()
    push(set, { push: { epoch: 2 }, statement: { incarnation: named } })
    await settle()
    expect(set.node.runner.runs).toBe(0)
    // One that is named again is the same as before.
    set.owner.send({ kind: 'rewind', value: { ...rewind, epoch: 2 } })
    set.owner.step({ epoch: 2, step: 0 })
    await settle()
    expect(set.owner.last('output')).toMatchObject({ epoch: 2, usedPush: true })
    set.owner.send({ kind: 'close', value: {} })
    await settle()
    expect(Object.fromEntries(set.node.ledger.ignored)).toEqual({ 'former-upstream': 1 })
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

  it('with a forged signature is none any more, to any session, once its sender is known to forge', async () => {
    const set = await scene()
    for (const step of [0, 1]) {
      set.owner.step({ step, position: step })
      push(set, { push: { step, position: step }, ...(step > 0 && { signer: 'mallory' }) })
    }
    await settle()
    set.owner.send({ kind: 'verify', value: { epoch: 0, step: 1, digest: inputDigest(set.node, 1, statesOf(6)) } })
    await settle()
    expect(set.owner.last('mismatch')).toMatchObject({ step: 1, upstreamReceipt: null })

    const owner = await set.bench.session(set.node, { id: new Uint8Array(16).fill(2), upstream: 'upstream' })
    const other = { ...set, owner, pushKey: owner.last('opened').pushKey }
    other.upstream.attach(other.pushKey)
    for (const step of [0, 1]) {
      owner.step({ step, position: step })
      push(other, { push: { step, position: step }, ...(step > 0 && { signer: 'mallory' }) })
    }
    await settle()
    expect(owner.all('output').map(({ step, usedPush }) => [step, usedPush])).toEqual([[0, true]])
    expect(set.node.ledger.ignored.get('receipt')).toBe(1)
    push(other, { push: { step: 1, position: 1 } })
    await settle()
    expect(owner.last('output')).toMatchObject({ step: 1, usedPush: true })
    expect(owner.all('mismatch')).toEqual([])
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
})
