import { expect, it } from 'vitest'
import { predictionTable } from '../../src/cli/dry-run.ts'

it('tells each route beside the others, with how far off it may be', () => {
  const lines = predictionTable([
    { route: 'relay', networkMs: 200, leastMs: 200, mostMs: 200 },
    { route: 'push', networkMs: 125.04, leastMs: 50, mostMs: 200 }
  ]).split('\n')
  expect(lines.slice(0, 3)).toEqual([
    'route       network ms a token  at least  at most',
    'relay                    200.0     200.0    200.0',
    'push                     125.0      50.0    200.0'
  ])
  expect(lines.at(-1)).toBe('')
})
