import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it, vi } from 'vitest'
import { HostedSession } from '../../../../src/inference/server/hosted/hosted-session.ts'
import { Bench, settle } from '../bench.ts'
import { push, scene } from './push-scene.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

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

  it('is answered once, however often the owner names the same upstream again', async () => {
    const set = await scene()
    const before = set.upstream.attached.length
    for (let epoch = 1; epoch <= 100; epoch++)
      set.owner.send({ kind: 'rewind', value: { epoch, length: 0, upstream: 'upstream' } })
    await settle()
    expect(set.upstream.attached.length).toBe(before)
    set.owner.step({ epoch: 100, step: 0 })
    push(set, { push: { epoch: 100 } })
    await settle()
    expect(set.owner.last('output').usedPush).toBe(true)
  })

  it('keeps nothing alive of a session that is over, though its upstream has not said that it knows', async () => {
    const bench = new Bench()
    const node = await bench.node('server')
    const upstream = bench.upstream(node)
    const end = vi.spyOn(HostedSession.prototype, 'end')
    async function comeAndGo(): Promise<WeakRef<HostedSession>> {
      const owner = await bench.session(node, { upstream: 'upstream' })
      upstream.attach(owner.last('opened').pushKey)
      await settle()
      owner.send({ kind: 'close', value: {} })
      await settle()
      const [hosted] = end.mock.contexts
      end.mockClear()
      return new WeakRef(hosted as HostedSession)
    }
    const over = await comeAndGo()
    await settle()
    collectGarbage()
    expect(upstream.attached).toHaveLength(1)
    expect(upstream.stream.ended).toBe(false)
    expect(over.deref()).toBeUndefined()
    end.mockRestore()
  })
})
