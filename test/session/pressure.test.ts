import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Candidate, chooseVictim } from '../../src/session/pressure.ts'

const candidate = fc.record({
  priority: fc.integer({ min: -2, max: 2 }),
  lastUse: fc.integer({ min: 0, max: 5 }),
  pinned: fc.boolean()
})

describe('chooseVictim', () => {
  it('lowest priority first, then least recently used, pinned never', () => {
    fc.assert(
      fc.property(fc.array(candidate), (candidates: Candidate[]) => {
        const [want] = candidates
          .filter(other => !other.pinned)
          .sort((a, b) => a.priority - b.priority || a.lastUse - b.lastUse)
        expect(chooseVictim(candidates)).toBe(want)
      })
    )
  })
})
