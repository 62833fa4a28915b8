import { describe, expect, it } from 'vitest'
import { CREDIT_BYTES, modelDigest, settle } from '../bench.ts'
import { push, scene } from './push-scene.ts'

describe('a push', () => {
  it('in vain is counted up to a limit of its peer; beyond it the stream is ended, and so are others for a while', async () => {
    const set = await scene()
    const mallory = set.bench.upstream(set.node, 'mallory')
    for (let i = 0; i < 300; i++) push({ ...set, upstream: mallory })
    await settle()
    const { ledger } = set.node
    expect(mallory.stream.ended).toBe(true)
    expect([ledger.ignored.get('not-attached'), ledger.pushStreamsEnded]).toEqual([257, 1])
    const again = set.bench.upstream(set.node, 'mallory')
    await settle()
    expect([again.stream.ended, ledger.pushStreamsEnded]).toEqual([true, 2])

    set.bench.clock.advance(250)
    const later = set.bench.upstream(set.node, 'mallory')
    for (let i = 0; i < 100; i++) push({ ...set, upstream: later })
    await settle()
    expect([later.stream.ended, ledger.ignored.get('not-attached')]).toEqual([true, 257 + 17])
    // Its limit is its own.
    set.owner.step({ step: 0 })
    push(set)
    await settle()
    expect(set.owner.last('output').usedPush).toBe(true)
  })

  it('is counted for a host, too: beyond the limit of eight peers another id brings it nothing', async () => {
    const set = await scene()
    let sent = 0
    for (let id = 0; id < 20; id++) {
      const mallory = set.bench.upstream(set.node, `mallory ${id}`, 'one host')
      for (let i = 0; i < 257 && !mallory.stream.ended; i++) push({ ...set, upstream: mallory })
      await settle()
      expect(mallory.stream.ended).toBe(true)
      sent = set.node.ledger.ignored.get('not-attached') ?? 0
    }
    // With each id the one push for which its stream was ended.
    expect(sent).toBeLessThanOrEqual(8 * 257)
    const elsewhere = set.bench.upstream(set.node, 'bystander', 'another host')
    await settle()
    expect(elsewhere.stream.ended).toBe(false)
    set.owner.step({ step: 0 })
    push(set)
    await settle()
    expect(set.owner.last('output').usedPush).toBe(true)
  })

  it('counts the more against its peer the more bytes it has', async () => {
    const set = await scene()
    const mallory = set.bench.upstream(set.node, 'mallory')
    const long = new Uint8Array(CREDIT_BYTES)
    const { pushKey } = set
    for (let i = 0; i < 10; i++)
      mallory.send({ kind: 'push', value: { pushKey, n: 1, receipt: mallory.receipt() } }, long)
    await settle()
    // 1 + 2 MiB / 64 KiB each, of 256.
    expect([set.node.ledger.ignored.get('not-attached'), mallory.stream.ended]).toEqual([8, true])
  })

  it('within its credit is held against its session alone: no more is granted for a while, and nobody is sent away', async () => {
    const set = await scene()
    const other = await set.bench.session(set.node, { upstream: 'upstream', id: new Uint8Array(16).fill(2) })
    set.upstream.attach(other.last('opened').pushKey)
    await settle()
    const granted = (): number =>
      Math.max(
        ...set.upstream.attached
          .filter(({ pushKey }) => Buffer.compare(pushKey, set.pushKey) === 0)
          .map(({ steps }) => steps)
      )
    // Its owner names no step: one is held, the others are duplicates. It keeps to its credit, as honest ones do.
    let sent = 0
    for (let round = 0; round < 40; round++) {
      for (; sent < granted(); sent++) push(set)
      await settle()
    }
    expect(sent).toBeGreaterThan(256)
    expect(sent).toBeLessThanOrEqual(257 + 32)
    expect([set.upstream.stream.ended, set.node.ledger.pushStreamsEnded]).toEqual([false, 0])
    // To attach again brings no credit either.
    set.upstream.send({ kind: 'attach', value: { pushKey: set.pushKey, modelDigest, boundary: 0, restart: true } })
    await settle()
    expect(granted()).toBe(sent)
    // Another session of the same upstream goes on.
    other.step({ step: 0 })
    push({ ...set, pushKey: other.last('opened').pushKey })
    await settle()
    expect(other.last('output').usedPush).toBe(true)
    // And so does this one, later.
    set.bench.clock.advance(2_000)
    await settle()
    set.owner.step({ step: 0 })
    push(set)
    await settle()
    expect(set.owner.last('output').usedPush).toBe(true)
  })

  it('that was granted and is under way while its session ends is not held against its peer', async () => {
    const set = await scene()
    for (let session = 2; session < 14; session++) {
      const owner = await set.bench.session(set.node, { upstream: 'upstream', id: new Uint8Array(16).fill(session) })
      const { pushKey } = owner.last('opened')
      set.upstream.attach(pushKey)
      await settle()
      owner.send({ kind: 'close', value: {} })
      await settle()
      for (let i = 0; i < 32; i++) push({ ...set, pushKey })
      await settle()
    }
    expect(set.node.ledger.ignored.get('unknown-session')).toBe(12 * 32)
    expect(set.upstream.stream.ended).toBe(false)
  })
})
