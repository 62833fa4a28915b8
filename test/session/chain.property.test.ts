import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Chain } from './chain.ts'

const servers = 4
const rows = 2
/** A swap takes 50 ms, a turn twenty swaps. */
const takes = { runMs: 5, hopMs: 1, moveMs: 25 }
const swapMs = 2 * takes.moveMs
const turnMs = 20 * swapMs
/** With every row moving, and another run on each before it may. */
const followMs = swapMs + rows * takes.runMs + takes.hopMs
const secondMs = 1000
const playedMs = 8 * secondMs

/** When each session is opened on each server: everywhere in another order. */
const arrivals = fc.array(fc.array(fc.integer({ min: 0, max: 700 }), { minLength: servers, maxLength: servers }), {
  minLength: rows + 1,
  maxLength: 3 * rows
})

async function play(openAfterMs: readonly (readonly number[])[], during?: (chain: Chain) => void): Promise<Chain> {
  const chain = new Chain({ ...takes, slots: new Array<number>(servers).fill(rows), table: { residenceMs: turnMs } })
  for (const [i, after] of openAfterMs.entries()) void chain.generate(`${i}`, after)
  for (let at = 0; at < playedMs; at += takes.runMs) {
    await chain.clock.play(at)
    during?.(chain)
  }
  return chain
}

describe('servers of one chain with more sessions than rows, in whatever order they came to each', () => {
  it('lend their rows to the same sessions, soon after the first one chose them', async () => {
    await fc.assert(
      fc.asyncProperty(arrivals, async openAfterMs => {
        let chosen = ''
        let since = 0
        let compared = 0
        await play(openAfterMs, chain => {
          const [first, ...others] = chain.residents()
          const now = chain.clock.now()
          if (`${first}` !== chosen) since = now
          chosen = `${first}`
          // Every resident's next token comes to every server once more.
          if (now - since <= 2 * servers * followMs || now < 2 * secondMs) return
          compared++
          for (const other of others) expect(other).toEqual(first)
        })
        expect(compared).toBeGreaterThan(0)
      }),
      { numRuns: 8 }
    )
  })

  it('keep no token waiting for its turn a second time, and no session without one', async () => {
    await fc.assert(
      fc.asyncProperty(arrivals, async openAfterMs => {
        const { waits } = await play(openAfterMs)
        const turns = Math.ceil(openAfterMs.length / rows)
        for (const tokens of waits.values()) {
          expect(tokens.length).toBeGreaterThan(0)
          for (const [first, ...others] of tokens) {
            expect(first).toBeLessThanOrEqual(turns * (turnMs + followMs))
            for (const wait of others) expect(wait).toBeLessThanOrEqual(2 * followMs)
          }
        }
      }),
      { numRuns: 8 }
    )
  })
})
