import { describe, it } from 'vitest'
import {
  asks,
  checkRace,
  forged,
  pushes,
  type RaceCase,
  rewinds,
  runs,
  sends,
  stops,
  verifies,
  waits
} from './race-script.ts'

describe('pushes that come early, late, twice or out of order', () => {
  it.each<RaceCase>([
    {
      name: 'before the step was asked for: held, then used',
      script: [
        [pushes(0, 'x'), []],
        [asks(0), ['run 0 on push x']]
      ],
      length: 0,
      committed: 0,
      pushes: { used: 1 }
    },
    {
      name: 'step 1 before step 0: computed in order',
      script: [
        [asks(0), []],
        [asks(1), []],
        [pushes(1, 'y'), []],
        [pushes(0, 'x'), ['run 0 on push x']],
        [runs, ['drop push x', 'answer 0 from push', 'run 1 on push y']],
        [runs, ['drop push y', 'answer 1 from push']]
      ],
      length: 2,
      committed: 0,
      pushes: { used: 2 }
    },
    {
      name: 'proofs out of order: committed in order',
      script: [
        [asks(0), []],
        [asks(1), []],
        [pushes(0, 'x'), ['run 0 on push x']],
        [pushes(1, 'y'), []],
        [runs, ['drop push x', 'answer 0 from push', 'run 1 on push y']],
        [runs, ['drop push y', 'answer 1 from push']],
        [verifies(1, 'y'), []],
        [verifies(0, 'x'), []]
      ],
      length: 2,
      committed: 2,
      pushes: { used: 2 }
    },
    {
      name: 'the true one after the lie that was used: the receipt of the lie is the one that is shown',
      script: [
        [asks(0), []],
        [pushes(0, 'lie'), ['run 0 on push lie']],
        [pushes(0, 'x'), ['drop push x']],
        [runs, ['drop push lie', 'answer 0 from push']],
        [verifies(0, 'x'), ['truncate to 0', 'mismatch 0: lie is not x, receipt lie']]
      ],
      length: 0,
      committed: 0,
      pushes: { used: 1, ignored: 1, mismatched: 1 },
      ignored: { duplicate: 1 }
    },
    {
      name: 'late, again and again: late once, and then a duplicate',
      script: [
        [sends(0, 'x'), ['run 0 on copy x']],
        [pushes(0, 'x'), ['drop push x']],
        [pushes(0, 'x'), ['drop push x']],
        [pushes(0, 'lie'), ['drop push lie']]
      ],
      length: 0,
      committed: 0,
      pushes: { late: 1, ignored: 2 },
      ignored: { duplicate: 2 }
    },
    {
      name: 'twice while held, and twice after: the second is a duplicate',
      script: [
        [pushes(0, 'x'), []],
        [pushes(0, 'x'), ['drop push x']],
        [asks(0), ['run 0 on push x']],
        [pushes(0, 'x'), ['drop push x']]
      ],
      length: 0,
      committed: 0,
      pushes: { used: 1, ignored: 2 },
      ignored: { duplicate: 2 }
    },
    {
      name: 'held for 2 s, then dropped',
      script: [
        [pushes(3, 'x'), []],
        [waits(1999), []],
        [waits(1), ['drop push x']]
      ],
      length: 0,
      committed: 0,
      pushes: { ignored: 1 },
      ignored: { 'hold-expired': 1 }
    },
    {
      name: 'more steps than may be held',
      init: { maxTentative: 2 },
      script: [
        [pushes(0, 'x'), []],
        [pushes(1, 'y'), []],
        [pushes(2, 'z'), ['drop push z']],
        [asks(0), ['run 0 on push x']],
        [pushes(2, 'z'), []]
      ],
      length: 0,
      committed: 0,
      pushes: { used: 1, ignored: 1 },
      ignored: { 'hold-full': 1 }
    },
    {
      name: 'more bytes than may be held',
      init: { maxHeldBytes: 10 },
      script: [
        [pushes(0, 'x', { size: 6 }), []],
        [pushes(1, 'y', { size: 5 }), ['drop push y']],
        [pushes(1, 'y', { size: 4 }), []]
      ],
      length: 0,
      committed: 0,
      pushes: { ignored: 1 },
      ignored: { 'hold-full': 1 }
    },
    {
      name: 'at another position, or of another length, than the owner says',
      script: [
        [asks(0), []],
        [pushes(0, 'x', { position: 1 }), ['drop push x']],
        [pushes(0, 'x', { n: 2 }), ['drop push x']],
        [pushes(1, 'y', { position: 5 }), []],
        [asks(1), ['drop push y']]
      ],
      length: 0,
      committed: 0,
      pushes: { ignored: 3 },
      ignored: { position: 3 }
    },
    {
      name: 'of an epoch that is over, or of a step that was forgotten',
      init: { maxTentative: 1 },
      script: [
        [rewinds(1, 0), ['truncate to 0']],
        [pushes(0, 'x'), ['drop push x']],
        [sends(0, 'x', { epoch: 1 }), ['run 0 on copy x']],
        [runs, ['drop copy x', 'answer 0 from copy']],
        [sends(1, 'y', { epoch: 1 }), ['run 1 on copy y']],
        [runs, ['drop copy y', 'answer 1 from copy']],
        [pushes(0, 'x', { epoch: 1 }), ['drop push x']]
      ],
      length: 2,
      committed: 2,
      pushes: { ignored: 2 },
      ignored: { 'stale-epoch': 1, 'stale-step': 1 }
    },
    {
      name: 'of an epoch to come: held over the rewind; those between are dropped',
      script: [
        [pushes(0, 'x', { epoch: 1 }), []],
        [pushes(0, 'y', { epoch: 2 }), []],
        [rewinds(2, 0), ['truncate to 0', 'drop push x']],
        [asks(0, { epoch: 2 }), ['run 0 on push y']]
      ],
      length: 0,
      committed: 0,
      pushes: { used: 1, ignored: 1 },
      ignored: { 'stale-epoch': 1 }
    },
    {
      name: 'of the upstream before: dropped when the owner names another',
      script: [
        [pushes(0, 'x', { epoch: 1 }), []],
        [rewinds(1, 0, true), ['truncate to 0', 'drop push x']],
        [asks(0, { epoch: 1 }), []],
        [pushes(0, 'y', { epoch: 1 }), ['run 0 on push y']]
      ],
      length: 0,
      committed: 0,
      pushes: { used: 1, ignored: 1 },
      ignored: { 'former-upstream': 1 }
    }
  ])('$name', checkRace)
})

describe('a receipt with a forged signature', () => {
  const used: RaceCase['script'] = [
    [asks(0), []],
    [pushes(0, 'x'), ['run 0 on push x']]
  ]
  it.each<RaceCase>([
    {
      name: 'of a held push: it is dropped, and a true one takes its place',
      script: [
        [pushes(0, 'x'), []],
        [forged(0), ['drop push x']],
        [pushes(0, 'x'), []],
        [asks(0), ['run 0 on push x']]
      ],
      length: 0,
      committed: 0,
      pushes: { used: 1, ignored: 1 },
      ignored: { receipt: 1 }
    },
    {
      name: 'of a push in use: the epoch ends',
      script: [
        ...used,
        [forged(0), ['terminate', 'mismatch 0: x is not , receipt none']],
        [stops, ['drop push x', 'truncate to 0']]
      ],
      length: 0,
      committed: 0,
      pushes: { used: 1, mismatched: 1 }
    },
    {
      name: 'of a duplicate: the true push stays in use',
      script: [
        ...used,
        [pushes(0, 'x'), ['drop push x']],
        [forged(1), []],
        [runs, ['drop push x', 'answer 0 from push']]
      ],
      length: 1,
      committed: 0,
      pushes: { used: 1, ignored: 1 },
      ignored: { duplicate: 1 }
    },
    {
      name: 'of bytes that the owner has proven: they are right, whoever sent them',
      script: [...used, [verifies(0, 'x'), []], [forged(0), []], [runs, ['drop push x', 'answer 0 from push']]],
      length: 1,
      committed: 1,
      pushes: { used: 1 }
    },
    {
      name: 'of an epoch that is over: nothing',
      script: [...used, [rewinds(1, 0), ['terminate']], [forged(0), []], [stops, ['drop push x', 'truncate to 0']]],
      length: 0,
      committed: 0,
      pushes: { used: 1 }
    }
  ])('$name', checkRace)
})
