import { expect, test } from 'vitest'
import { layoutOf } from '../../src/bench/chain.ts'

test('chains of every length share the servers whose spans are equal', () => {
  const { spans, chains } = layoutOf(4)
  const chain = (servers: number) => chains[servers - 1]!.map(i => `${spans[i]!.from}-${spans[i]!.to}`).join(' ')
  expect([1, 2, 3, 4].map(chain)).toEqual(['0-4', '0-2 2-4', '0-1 1-2 2-4', '0-1 1-2 2-3 3-4'])
  expect(spans).toHaveLength(7)
})

test.each([1, 2, 5, 9])('%i servers: every chain tiles the model', servers => {
  const { spans, chains } = layoutOf(servers)
  for (const chain of chains) {
    const ends = chain.map(i => spans[i]!)
    expect(ends[0]!.from).toBe(0)
    expect(ends.at(-1)!.to).toBe(servers)
    for (const [i, { to }] of ends.slice(0, -1).entries()) expect(ends[i + 1]!.from).toBe(to)
  }
})
