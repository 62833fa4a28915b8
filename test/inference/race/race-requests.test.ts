import { describe, expect, it } from 'vitest'
import {
  announces,
  asks,
  checkRace,
  closes,
  copies,
  pushes,
  type RaceCase,
  RaceScript,
  rewinds,
  runs,
  sends,
  stops,
  upstreamGone,
  verifies,
  waits
} from './race-script.ts'

describe('rewinding', () => {
  const two: RaceCase['script'] = [
    [sends(0, 'x'), ['run 0 on copy x']],
    [runs, ['drop copy x', 'answer 0 from copy']],
    [asks(1), []],
    [pushes(1, 'y'), ['run 1 on push y']],
    [runs, ['drop push y', 'answer 1 from push']]
  ]
  it.each<RaceCase>([
    {
      name: 'goes to the length asked for',
      script: [...two, [rewinds(1, 0), ['truncate to 0']]],
      length: 0,
      committed: 0,
      pushes: { used: 1 }
    },
    {
      name: 'goes to what is committed at most',
      script: [...two, [rewinds(1, 2), ['truncate to 1']]],
      length: 1,
      committed: 1,
      pushes: { used: 1 }
    },
    {
      name: 'to an epoch that is not higher is too late',
      script: [...two, [rewinds(0, 0), ['too late']]],
      length: 2,
      committed: 1,
      pushes: { used: 1 }
    },
    {
      name: 'between push and proof: neither proof nor copy of the old epoch counts in the new one',
      script: [
        [announces(0), []],
        [pushes(0, 'x'), ['run 0 on push x']],
        [rewinds(1, 0), ['terminate']],
        [verifies(0, 'x'), []],
        [copies(0, 'x'), ['drop copy x']],
        [asks(0, { epoch: 1 }), []],
        [pushes(0, 'z', { epoch: 1 }), []],
        [stops, ['drop push x', 'truncate to 0', 'run 0 on push z']],
        [runs, ['drop push z', 'answer 0 from push']]
      ],
      length: 1,
      committed: 0,
      pushes: { used: 2 }
    },
    {
      name: 'twice during one run: cut once, to the lower length',
      script: [
        [sends(0, 'x'), ['run 0 on copy x']],
        [runs, ['drop copy x', 'answer 0 from copy']],
        [sends(1, 'y'), ['run 1 on copy y']],
        [rewinds(1, 1), ['terminate']],
        [rewinds(2, 0), ['terminate']],
        [stops, ['drop copy y', 'truncate to 0']]
      ],
      length: 0,
      committed: 0
    },
    {
      name: 'a run that fails on its own is not answered',
      script: [
        [sends(0, 'x'), ['run 0 on copy x']],
        [stops, ['drop copy x']]
      ],
      length: 0,
      committed: 0
    },
    {
      name: 'the end of the session stops the run and gives every input back',
      script: [
        [sends(0, 'x'), ['run 0 on copy x']],
        [sends(1, 'y'), []],
        [pushes(2, 'z'), []],
        [closes, ['drop copy y', 'terminate', 'drop push z']],
        [stops, ['drop copy x', 'truncate to 0']],
        [sends(2, 'z'), ['drop copy z']]
      ],
      length: 0,
      committed: 0
    }
  ])('$name', checkRace)
})

describe('what may be asked', () => {
  it.each<RaceCase>([
    {
      name: 'a step twice while it is under way: one run, one answer',
      script: [
        [asks(0), []],
        [asks(0), []],
        [pushes(0, 'x'), ['run 0 on push x']],
        [asks(0), []],
        [runs, ['drop push x', 'answer 0 from push']]
      ],
      length: 1,
      committed: 0,
      pushes: { used: 1 }
    },
    {
      name: 'a step again without bytes: its answer once more; with bytes: compared and not answered',
      script: [
        [sends(0, 'x'), ['run 0 on copy x']],
        [runs, ['drop copy x', 'answer 0 from copy']],
        [asks(0), ['repeat 0 from copy']],
        [sends(0, 'x'), ['drop copy x']],
        [sends(0, 'w'), ['drop copy w', 'truncate to 1', 'mismatch 0: x is not w, receipt none']]
      ],
      length: 1,
      committed: 1,
      pushes: { mismatched: 1 }
    },
    {
      name: 'a forgotten step: gone without bytes, nothing to say with them',
      init: { maxTentative: 1 },
      script: [
        [sends(0, 'x'), ['run 0 on copy x']],
        [runs, ['drop copy x', 'answer 0 from copy']],
        [sends(1, 'y'), ['run 1 on copy y']],
        [runs, ['drop copy y', 'answer 1 from copy']],
        [asks(0), ['refuse GONE']],
        [sends(0, 'x'), ['drop copy x']],
        [asks(1), ['repeat 1 from copy']]
      ],
      length: 2,
      committed: 2
    },
    { name: 'a step too many: a gap', script: [[asks(1), ['refuse GAP']]], length: 0, committed: 0 },
    {
      name: 'a position too far: a gap',
      script: [[asks(0, { position: 1 }), ['refuse GAP']]],
      length: 0,
      committed: 0
    },
    {
      name: 'a position before the length: only after a rewind',
      script: [
        [sends(0, 'x', { n: 2 }), ['run 0 on copy x']],
        [sends(1, 'y', { position: 1 }), ['refuse BEHIND', 'drop copy y']]
      ],
      length: 0,
      committed: 0
    },
    {
      name: 'the same step at another position or of another length',
      script: [
        [asks(0, { n: 2 }), []],
        [asks(0, { n: 3 }), ['refuse BAD_STEP']],
        [sends(0, 'x', { position: 1 }), ['refuse BAD_STEP', 'drop copy x']]
      ],
      length: 0,
      committed: 0
    },
    { name: 'no tokens', script: [[asks(0, { n: 0 }), ['refuse BAD_STEP']]], length: 0, committed: 0 },
    {
      name: 'more tokens than the session holds',
      init: { maxLength: 4 },
      script: [
        [asks(0, { n: 5 }), ['refuse LENGTH_EXCEEDED']],
        [asks(0, { n: 4 }), []]
      ],
      length: 0,
      committed: 0
    },
    {
      name: 'an epoch that was not begun',
      script: [[asks(0, { epoch: 1 }), ['refuse EPOCH']]],
      length: 0,
      committed: 0
    },
    {
      name: 'more unanswered steps than the credit',
      init: { maxOutstanding: 2 },
      script: [
        [sends(0, 'x'), ['run 0 on copy x']],
        [asks(1), []],
        [asks(2), ['refuse FLOW']],
        [runs, ['drop copy x', 'answer 0 from copy']],
        [asks(2), []]
      ],
      length: 1,
      committed: 1
    },
    {
      name: 'no more than max_tentative steps are computed ahead of their proof',
      init: { maxTentative: 2 },
      script: [
        [asks(0), []],
        [asks(1), []],
        [asks(2), []],
        [pushes(0, 'x'), ['run 0 on push x']],
        [pushes(1, 'y'), []],
        [pushes(2, 'z'), []],
        [runs, ['drop push x', 'answer 0 from push', 'run 1 on push y']],
        [runs, ['drop push y', 'answer 1 from push']],
        [verifies(0, 'x'), ['run 2 on push z']]
      ],
      length: 2,
      committed: 1,
      pushes: { used: 3 }
    },
    {
      name: 'replays come first, are committed when computed, and have no number',
      script: [
        [sends(0, 'a', { replay: true, n: 3 }), ['run replay 0 on copy a']],
        [sends(0, 'b', { replay: true, position: 3, n: 2 }), []],
        [pushes(0, 'x', { position: 5 }), []],
        [asks(0, { position: 5 }), []],
        [runs, ['drop copy a', 'answer replay 0 from copy', 'run replay 3 on copy b']],
        [runs, ['drop copy b', 'answer replay 3 from copy', 'run 0 on push x']],
        [sends(0, 'c', { replay: true, position: 6 }), ['refuse BAD_STEP', 'drop copy c']]
      ],
      length: 5,
      committed: 5,
      pushes: { used: 1 }
    },
    {
      name: 'verify none: a push is proven by its use',
      init: { trustPushes: true },
      script: [
        [asks(0), []],
        [pushes(0, 'x'), ['run 0 on push x']],
        [runs, ['drop push x', 'answer 0 from push']]
      ],
      length: 1,
      committed: 1,
      pushes: { used: 1 }
    },
    {
      name: 'verify none: a push that does not come is given a second, for nobody will verify it',
      init: { trustPushes: true },
      script: [
        [asks(0), []],
        [waits(999), []],
        [waits(1), ['need copy 0']],
        [waits(5000), []],
        [sends(0, 'x'), ['run 0 on copy x']],
        [asks(1), []],
        [upstreamGone, ['need copy 1']],
        [runs, ['drop copy x', 'answer 0 from copy']]
      ],
      length: 1,
      committed: 1
    }
  ])('$name', checkRace)

  it('does not wait the longer for pushes, the later those come that lost to the copy', () => {
    const script = new RaceScript()
    for (let step = 0; step < 20; step++) {
      script.play(asks(step))
      script.play(verifies(step, 'x'))
      expect(script.play(waits(50)), `step ${step}`).toEqual([`need copy ${step}`])
      script.play(sends(step, 'x'))
      script.play(runs)
      script.play(waits(10_000))
      script.play(pushes(step, 'x'))
    }
    expect(script.race.pushes).toMatchObject({ used: 0, late: 20 })
  })

  it('tells when a held push came, not when it was asked for, and keeps the first of two arrivals', () => {
    const script = new RaceScript()
    script.play(pushes(0, 'x'))
    script.play(waits(30))
    script.play(asks(0))
    script.play(waits(30))
    script.play(pushes(0, 'x'))
    script.play(sends(0, 'x'))
    script.play(waits(30))
    script.play(sends(0, 'x'))
    script.play(runs)
    const [record] = script.race.answeredFrom(0)
    expect(record).toMatchObject({ requestedAt: 1030, pushArrivedAt: 1000, copyArrivedAt: 1060 })
  })

  it('says which answers it still has, for an owner that comes back', () => {
    const script = new RaceScript({ maxTentative: 2 })
    for (const step of [0, 1, 2, 3]) {
      script.play(sends(step, `x${step}`))
      script.play(runs)
    }
    expect(script.race.nextStep).toBe(4)
    expect(script.race.answeredFrom(0).map(({ step }) => step)).toEqual([2, 3])
    expect(script.race.answeredFrom(3).map(({ step }) => step)).toEqual([3])
  })
})
