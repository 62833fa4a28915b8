import { describe, expect, it } from 'vitest'
import { PushTarget } from '../../../../src/inference/server/push/push-target.ts'

const target = (): PushTarget =>
  new PushTarget({ peerId: 'b', addresses: [], pushKey: '00' }, { peer: 'owner', host: 'its host' })

describe('a push target', () => {
  it('lets nothing through before it is attached, nor beyond its credit', () => {
    const next = target()
    expect(next.permit(1)).toBe('NOT_ATTACHED')
    next.onAttached({ steps: 2, bytes: 10 })
    expect([next.permit(10), next.permit(11)]).toEqual(['PUSHED', 'NO_CREDIT'])
    next.sent(4)
    expect([next.permit(6), next.permit(7)]).toEqual(['PUSHED', 'NO_CREDIT'])
    next.sent(1)
    expect(next.permit(1)).toBe('NO_CREDIT')
  })

  it('takes credit as a total that only rises', () => {
    const next = target()
    next.onAttached({ steps: 2, bytes: 10 })
    next.sent(10)
    next.onAttached({ steps: 4, bytes: 20 })
    next.onAttached({ steps: 1, bytes: 5 })
    expect([next.permit(10), next.permit(11)]).toEqual(['PUSHED', 'NO_CREDIT'])
  })

  it('starts anew when the stream is lost, and says why nothing goes', () => {
    const next = target()
    next.onAttached({ steps: 2, bytes: 10 })
    next.sent(10)
    next.onLost('UNREACHABLE')
    expect([next.attached, next.permit(1)]).toEqual([false, 'UNREACHABLE'])
    next.onAttached({ steps: 2, bytes: 10 })
    expect(next.permit(10)).toBe('PUSHED')
  })

  it('tells those who wait, at the answer, at the loss or when they give up', async () => {
    const next = target()
    const [first, second] = [next.settled(), next.settled()]
    second.cancel()
    expect(await second.outcome).toBe('NOT_ATTACHED')
    next.onAttached({ steps: 1, bytes: 1 })
    expect(await first.outcome).toBe('PUSHED')
    expect(await next.settled().outcome).toBe('PUSHED')
    next.onLost('REFUSED')
    const third = next.settled()
    next.onLost('UNREACHABLE')
    expect(await third.outcome).toBe('UNREACHABLE')
  })

  it('keeps nothing of those who gave up: an owner may ask as often as it likes', () => {
    const next = target()
    for (let asked = 0; asked < 1000; asked++) next.settled().cancel()
    expect(next.waiting).toBe(0)
  })
})
