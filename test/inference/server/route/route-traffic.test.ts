import { describe, expect, it } from 'vitest'
import { RouteTraffic } from '../../../../src/inference/server/route/route-traffic.ts'

describe('what a route sends on', () => {
  it('is bounded at once: a pass that is retired makes room for another', () => {
    const traffic = new RouteTraffic({ bytesQuota: 1000, mostUnderWay: 100 })
    expect(traffic.begin(0, 60)).toBeNull()
    expect(traffic.begin(1, 41)?.code).toBe('QUOTA')
    expect(traffic.begin(1, 40)).toBeNull()
    traffic.retire(0)
    expect(traffic.begin(2, 60)).toBeNull()
    traffic.retire(7)
    expect(traffic.begin(3, 1)?.code, 'of a pass that never was nothing is given back').toBe('QUOTA')
  })

  it('is bounded in all, over every epoch', () => {
    const traffic = new RouteTraffic({ bytesQuota: 100, mostUnderWay: 100 })
    expect(traffic.begin(0, 60)).toBeNull()
    traffic.clear()
    expect(traffic.begin(0, 40), 'an epoch begins with nothing under way').toBeNull()
    traffic.clear()
    expect(traffic.begin(0, 1)?.message).toContain('the bytes that its owner asked for')
  })
})
