import { describe, expect, it } from 'vitest'
import { settle } from '../bench.ts'
import { push, scene } from './push-scene.ts'

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

  it('of garbage ends, and no other one with it', async () => {
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
