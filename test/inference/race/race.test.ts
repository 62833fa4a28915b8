import { describe, it } from 'vitest'
import {
  announces,
  asks,
  checkRace,
  copies,
  pushes,
  type RaceCase,
  rewinds,
  runs,
  sends,
  stops,
  upstreamGone,
  verifies,
  waits
} from './race-script.ts'

describe('the race of push and copy', () => {
  it.each<RaceCase>([
    {
      name: 'the push comes first: it is computed at once, and committed by the digest',
      script: [
        [asks(0), []],
        [pushes(0, 'x'), ['run 0 on push x']],
        [runs, ['drop push x', 'answer 0 from push']],
        [verifies(0, 'x'), []]
      ],
      length: 1,
      committed: 1,
      pushes: { used: 1 }
    },
    {
      name: 'the push comes first and nobody proves it: it stays tentative',
      script: [
        [asks(0), []],
        [pushes(0, 'x'), ['run 0 on push x']],
        [runs, ['drop push x', 'answer 0 from push']]
      ],
      length: 1,
      committed: 0,
      pushes: { used: 1 }
    },
    {
      name: 'proven while it runs: committed when it is computed, not before',
      script: [
        [asks(0), []],
        [pushes(0, 'x'), ['run 0 on push x']],
        [verifies(0, 'x'), []],
        [runs, ['drop push x', 'answer 0 from push']]
      ],
      length: 1,
      committed: 1,
      pushes: { used: 1 }
    },
    {
      name: 'the copy comes first: it is used and committed, the push is late',
      script: [
        [sends(0, 'x'), ['run 0 on copy x']],
        [pushes(0, 'x'), ['drop push x']],
        [runs, ['drop copy x', 'answer 0 from copy']]
      ],
      length: 1,
      committed: 1,
      pushes: { late: 1 }
    },
    {
      name: 'the push overtakes the bytes of an announced copy, which then prove it',
      script: [
        [announces(0), []],
        [pushes(0, 'x'), ['run 0 on push x']],
        [runs, ['drop push x', 'answer 0 from push']],
        [copies(0, 'x'), ['drop copy x']]
      ],
      length: 1,
      committed: 1,
      pushes: { used: 1 }
    },
    {
      name: 'the copy is lost after a push was used: nothing is committed and nothing asked for',
      script: [
        [announces(0), []],
        [pushes(0, 'x'), ['run 0 on push x']],
        [runs, ['drop push x', 'answer 0 from push']],
        [waits(10_000), []]
      ],
      length: 1,
      committed: 0,
      pushes: { used: 1 }
    },
    {
      name: 'the digest comes before the push',
      script: [
        [asks(0), []],
        [verifies(0, 'x'), []],
        [waits(49), []],
        [pushes(0, 'x'), ['run 0 on push x']],
        [waits(10_000), []],
        [runs, ['drop push x', 'answer 0 from push']]
      ],
      length: 1,
      committed: 1,
      pushes: { used: 1 }
    },
    {
      name: 'a verified push is lost: the copy is asked for once, after 50 ms',
      script: [
        [asks(0), []],
        [waits(500), []],
        [verifies(0, 'x'), []],
        [waits(49), []],
        [waits(1), ['need copy 0']],
        [waits(10_000), []],
        [sends(0, 'x'), ['run 0 on copy x']],
        [runs, ['drop copy x', 'answer 0 from copy']]
      ],
      length: 1,
      committed: 1
    },
    {
      name: 'the push comes after the copy was asked for: the push is used, the copy compared',
      script: [
        [asks(0), []],
        [verifies(0, 'x'), []],
        [waits(50), ['need copy 0']],
        [pushes(0, 'x'), ['run 0 on push x']],
        [sends(0, 'x'), ['drop copy x']],
        [runs, ['drop push x', 'answer 0 from push']]
      ],
      length: 1,
      committed: 1,
      pushes: { used: 1 }
    },
    {
      name: 'usually late pushes are waited for longer: four times the smoothed lateness',
      script: [
        [asks(0), []],
        [verifies(0, 'x'), []],
        [waits(100), ['need copy 0']],
        [waits(900), []],
        [pushes(0, 'x'), ['run 0 on push x']],
        [runs, ['drop push x', 'answer 0 from push']],
        [asks(1), []],
        [verifies(1, 'y'), []],
        [waits(799), []],
        [waits(1), ['need copy 1']]
      ],
      length: 1,
      committed: 1,
      pushes: { used: 1 }
    },
    {
      name: 'the upstream is gone: what was verified is asked for at once, the rest when it is',
      script: [
        [asks(0), []],
        [asks(1), []],
        [verifies(0, 'x'), []],
        [upstreamGone, ['need copy 0']],
        [verifies(1, 'y'), []],
        [waits(50), ['need copy 1']]
      ],
      length: 0,
      committed: 0
    }
  ])('$name', checkRace)
})

describe('two copies that differ end the epoch', () => {
  it.each<RaceCase>([
    {
      name: 'a push was computed, the digest is another',
      script: [
        [asks(0), []],
        [pushes(0, 'lie'), ['run 0 on push lie']],
        [runs, ['drop push lie', 'answer 0 from push']],
        [verifies(0, 'x'), ['truncate to 0', 'mismatch 0: lie is not x, receipt lie']]
      ],
      length: 0,
      committed: 0,
      pushes: { used: 1, mismatched: 1 }
    },
    {
      name: 'a push is in the runner, the copy is another: the run is stopped before the row is cut',
      script: [
        [announces(0), []],
        [pushes(0, 'lie'), ['run 0 on push lie']],
        [copies(0, 'x'), ['drop copy x', 'terminate', 'mismatch 0: lie is not x, receipt lie']],
        [stops, ['drop push lie', 'truncate to 0']]
      ],
      length: 0,
      committed: 0,
      pushes: { used: 1, mismatched: 1 }
    },
    {
      name: 'the run ended before the word to stop it came: the row is cut all the same and nothing is answered',
      script: [
        [asks(0), []],
        [pushes(0, 'lie'), ['run 0 on push lie']],
        [verifies(0, 'x'), ['terminate', 'mismatch 0: lie is not x, receipt lie']],
        [runs, ['drop push lie', 'truncate to 0']]
      ],
      length: 0,
      committed: 0,
      pushes: { used: 1, mismatched: 1 }
    },
    {
      name: 'the digest was there first: the push is not computed',
      script: [
        [asks(0), []],
        [verifies(0, 'x'), []],
        [pushes(0, 'lie'), ['drop push lie', 'truncate to 0', 'mismatch 0: lie is not x, receipt lie']]
      ],
      length: 0,
      committed: 0,
      pushes: { mismatched: 1 }
    },
    {
      name: 'the copy was computed and committed: it stays, the liar is named',
      script: [
        [sends(0, 'x'), ['run 0 on copy x']],
        [runs, ['drop copy x', 'answer 0 from copy']],
        [pushes(0, 'lie'), ['drop push lie', 'truncate to 1', 'mismatch 0: lie is not x, receipt lie']]
      ],
      length: 1,
      committed: 1,
      pushes: { mismatched: 1 }
    },
    {
      name: 'later steps of the epoch go with it, committed ones stay',
      script: [
        [sends(0, 'x'), ['run 0 on copy x']],
        [runs, ['drop copy x', 'answer 0 from copy']],
        [asks(1), []],
        [pushes(1, 'lie'), ['run 1 on push lie']],
        [runs, ['drop push lie', 'answer 1 from push']],
        [asks(2), []],
        [pushes(2, 'z'), ['run 2 on push z']],
        [asks(3), []],
        [pushes(3, 'w'), []],
        [verifies(1, 'y'), ['drop push w', 'terminate', 'mismatch 1: lie is not y, receipt lie']],
        [stops, ['drop push z', 'truncate to 1']]
      ],
      length: 1,
      committed: 1,
      pushes: { used: 3, mismatched: 1 }
    },
    {
      name: 'until a higher epoch nothing of this one is served',
      script: [
        [asks(0), []],
        [verifies(0, 'x'), []],
        [pushes(0, 'lie'), ['drop push lie', 'truncate to 0', 'mismatch 0: lie is not x, receipt lie']],
        [asks(1), []],
        [sends(1, 'y'), ['drop copy y']],
        [pushes(1, 'y'), ['drop push y']],
        [verifies(0, 'x'), []],
        [rewinds(1, 0), ['truncate to 0']],
        [sends(0, 'x', { epoch: 1 }), ['run 0 on copy x']],
        [runs, ['drop copy x', 'answer 0 from copy']]
      ],
      length: 1,
      committed: 1,
      pushes: { mismatched: 1, ignored: 1 },
      ignored: { 'ended-epoch': 1 }
    }
  ])('$name', checkRace)
})
