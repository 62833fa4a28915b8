import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Chain, open } from './chain.ts'

const residenceMs = 200
const longestRunMs = 80

/** What a session computes, and for how long it asks for nothing before: little, or sessions hardly meet. */
const pauseMs = fc.oneof({ weight: 9, arbitrary: fc.nat(20) }, fc.nat(300))
const runMs = fc.oneof(
  { weight: 9, arbitrary: fc.integer({ min: 1, max: 10 }) },
  fc.integer({ min: 1, max: longestRunMs })
)
const work = fc.array(fc.record({ pauseMs, runMs }), { minLength: 20, maxLength: 60, size: 'max' })

const server = fc.record({
  slots: fc.integer({ min: 1, max: 3 }),
  moveMs: fc.nat(60),
  follows: fc.boolean(),
  sessions: fc.array(work, { minLength: 1, maxLength: 9 })
})

it('whoever has something to compute gets a row as soon as each of the others has had one for a turn', async () => {
  await fc.assert(
    fc.asyncProperty(server, async ({ slots, moveMs, follows, sessions }) => {
      const table = { residenceMs, follows, backlog: { limit: 9, deadlineMs: 1e6 } }
      const chain = new Chain({ slots: [slots], table, runMs: 1, hopMs: 0, moveMs })
      const [only] = chain.servers
      const waits: number[] = []
      let done = 0
      const live = async (id: string, runs: readonly { pauseMs: number; runMs: number }[]): Promise<void> => {
        const session = await open(only!.table, id)
        for (const { pauseMs, runMs } of runs) {
          await chain.clock.sleep(pauseMs)
          waits.push(await chain.run(only!, session, runMs))
        }
        done++
      }
      for (const [i, runs] of sessions.entries()) void live(`${i}`, runs)
      await chain.clock.play(1e6)
      const swapMs = 2 * moveMs
      const turnMs = Math.max(residenceMs, 4 * swapMs)
      const rounds = Math.ceil(sessions.length / slots)
      // One device computes for all rows: a run may have one of each of the others before it.
      expect(Math.max(0, ...waits)).toBeLessThanOrEqual(rounds * (turnMs + slots * longestRunMs + swapMs))
      expect(done).toBe(sessions.length)
    }),
    { numRuns: 30 }
  )
})
