import { describe, expect, it } from 'vitest'
import { createRng } from '../../../src/bench/rng.ts'
import { FaultLog } from '../../../src/bench/soak/fault-log.ts'
import { nextAction, type SoakAction } from '../../../src/bench/soak/schedule.ts'

const init = { ways: 3, idleTimeoutMs: 200, deathMs: 1_000 }
const story = (seed: number, length: number): SoakAction[] => {
  const rng = createRng(seed)
  return Array.from({ length }, () => nextAction(rng, init))
}

describe('a schedule', () => {
  it('is the same for the same seed, and another for another', () => {
    expect(story(7, 200)).toEqual(story(7, 200))
    expect(story(8, 200)).not.toEqual(story(7, 200))
  })

  it('has all there is in it, on every way, within bounds', () => {
    const actions = story(1, 20_000)
    const kinds = new Set(actions.map(({ kind }) => kind))
    expect(kinds).toEqual(new Set(['call', 'session', 'rest', 'reset', 'halfOpen', 'blackhole', 'leave']))
    const ways = actions.flatMap(action => ('way' in action ? [action.way] : []))
    expect(new Set(ways)).toEqual(new Set([0, 1, 2]))
    for (const action of actions) {
      if (action.kind === 'call') {
        expect(action.bytes).toBeGreaterThanOrEqual(0)
        expect(action.bytes).toBeLessThan(256 * 1024)
      }
      // Rests are around the time after which connections close, so that some requests meet the closing.
      if (action.kind === 'rest') expect(Math.abs(action.ms - 220)).toBeLessThanOrEqual(40)
      if (action.kind === 'blackhole') expect(action.ms).toBeLessThanOrEqual(1_500)
    }
  })
})

describe('a fault', () => {
  it('excuses what it may have hit: on its way, from its beginning until it is not felt any more', () => {
    const faults = new FaultLog()
    const over = faults.begin(1, 100)
    expect(faults.excuses(1, 0, 99)).toBe(false)
    expect(faults.excuses(1, 0, 100)).toBe(true)
    expect(faults.excuses(2, 0, 200)).toBe(false)
    over(200, 50)
    expect([faults.excuses(1, 250, 300), faults.excuses(1, 251, 300)]).toEqual([true, false])
    faults.forget(251)
    expect(faults.excuses(1, 100, 200)).toBe(false)
  })
})
