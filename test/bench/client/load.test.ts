import { describe, expect, test } from 'vitest'
import { ManualClock } from '../../../src/base/index.ts'
import type { Arrivals, TrialOutcome } from '../../../src/bench/client/client-calls.ts'
import { poissonArrivals, runLoad } from '../../../src/bench/client/load.ts'

const outcome: TrialOutcome = { failed: 'BUSY', message: 'no slot' }

/** A server that takes `serviceMs` for each request, one after the other, and gives the first token halfway. */
function server(clock: ManualClock, serviceMs: number) {
  let freeAt = clock.now()
  const sentAt: number[] = []
  let most = 0
  let waiting = 0
  const send = (): Promise<{ firstTokenAt: number | null; outcome: TrialOutcome }> => {
    sentAt.push(clock.now())
    most = Math.max(most, ++waiting)
    freeAt = Math.max(freeAt, clock.now()) + serviceMs
    const firstTokenAt = freeAt - serviceMs / 2
    return new Promise(resolve =>
      clock.after(freeAt - clock.now(), () => {
        waiting--
        resolve({ firstTokenAt, outcome })
      })
    )
  }
  return { send, sentAt, most: () => most }
}

async function run(arrivals: Arrivals, requests: number, serviceMs: number) {
  const clock = new ManualClock(1000)
  const at = server(clock, serviceMs)
  let done = false
  const load = runLoad({ arrivals, requests, seed: 3 }, clock, at.send).finally(() => {
    done = true
  })
  while (!done) {
    clock.advance(1)
    await new Promise(setImmediate)
  }
  return { ...(await load), sentAt: at.sentAt, most: at.most() }
}

describe('a closed load', () => {
  test.each([
    { concurrency: 1, requests: 5 },
    { concurrency: 3, requests: 10 },
    { concurrency: 8, requests: 3 }
  ])('$concurrency clients send $requests requests, never more at a time', async ({ concurrency, requests }) => {
    const { samples, most, elapsedMs } = await run({ kind: 'closed', concurrency }, requests, 10)
    expect(samples).toHaveLength(requests)
    expect(most).toBe(Math.min(concurrency, requests))
    expect(elapsedMs).toBe(10 * requests)
  })

  test('a latency is from sending to the answer', async () => {
    const { samples } = await run({ kind: 'closed', concurrency: 2 }, 4, 10)
    expect(samples.map(({ latencyMs }) => latencyMs)).toEqual([10, 20, 20, 20])
    expect(samples[0]?.firstTokenMs).toBe(5)
  })
})

describe('an open load', () => {
  test('latencies count from the intended arrival, so that a slow server shows', async () => {
    const requests = 40
    const { samples, sentAt } = await run({ kind: 'open', requestRate: 100 }, requests, 50)
    const intended = poissonArrivals(100, requests, 3)
    expect(sentAt).toHaveLength(requests)
    // A server that takes 50 ms for what comes every 10 ms falls behind by 40 ms a request.
    const last = samples.at(-1)!
    const lastIntended = intended.at(-1)!
    expect(last.latencyMs).toBeGreaterThan(requests * 50 - lastIntended - 60)
    for (const [i, at] of sentAt.entries()) expect(at - 1000).toBeGreaterThanOrEqual(intended[i]!)
  })

  test('arrives at the rate asked for, the same for the same seed', () => {
    const arrivals = poissonArrivals(20, 4000, 7)
    expect(arrivals.at(-1)! / 4000).toBeGreaterThan(47)
    expect(arrivals.at(-1)! / 4000).toBeLessThan(53)
    expect(poissonArrivals(20, 4000, 7)).toEqual(arrivals)
    expect(poissonArrivals(20, 4000, 8)).not.toEqual(arrivals)
    const gaps = arrivals.map((at, i) => at - (arrivals[i - 1] ?? 0))
    // Of an exponential distribution, as many are shorter than its median, ln 2 of the mean, as are longer.
    const short = gaps.filter(gap => gap < 50 * Math.LN2).length
    expect(short / gaps.length).toBeGreaterThan(0.47)
    expect(short / gaps.length).toBeLessThan(0.53)
  })
})
