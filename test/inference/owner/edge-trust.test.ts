import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EdgeTrust } from '../../../src/inference/owner/edge-trust.ts'

const pushesUntilReliable = (edge: EdgeTrust): number => {
  let pushes = 0
  for (; !edge.reliable; pushes++) edge.used()
  return pushes
}

describe('trust in the pushes of an edge', () => {
  it('is earned by eight in a row, and lost with the first that fails', () => {
    const edge = new EdgeTrust()
    expect(pushesUntilReliable(edge)).toBe(8)
    edge.failed()
    expect(edge.reliable).toBe(false)
  })

  it('takes twice as long each time that it was broken, a thousand pushes at most', () => {
    const edge = new EdgeTrust()
    const taken = Array.from({ length: 10 }, () => {
      const pushes = pushesUntilReliable(edge)
      edge.failed()
      return pushes
    })
    expect(taken).toEqual([8, 16, 32, 64, 128, 256, 512, 1024, 1024, 1024])
  })

  it('is never given to an edge that loses every tenth push more than once', () => {
    const edge = new EdgeTrust()
    const trusted = Array.from({ length: 1000 }, (_, i) => {
      if (i % 10 === 9) edge.failed()
      else edge.used()
      return edge.reliable
    })
    expect(trusted.lastIndexOf(true)).toBeLessThan(10)
  })

  it('needs no fewer pushes than were used since the last failure, in any order of events', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 200 }), used => {
        const edge = new EdgeTrust()
        let inARow = 0
        for (const one of used) {
          if (one) edge.used()
          else edge.failed()
          inARow = one ? inARow + 1 : 0
          if (edge.reliable) expect(inARow).toBeGreaterThanOrEqual(8)
        }
      })
    )
  })
})
