import type { Clock } from '../../base/index.ts'
import { createRng } from '../rng.ts'
import type { Arrivals, LoadRequest, LoadSample, TrialOutcome } from './client-calls.ts'

interface Answered {
  /** By the clock; null without one. */
  readonly firstTokenAt: number | null
  readonly outcome: TrialOutcome
}

/**
 * Sends requests as `arrivals` says and waits for all answers. An open load's latencies count from the intended arrival,
 * whether or not the client was able to send in time: a slow server must not thin out the load that measures it
 * ("coordinated omission").
 */
export async function runLoad(
  { arrivals, requests, seed }: Pick<LoadRequest, 'arrivals' | 'requests' | 'seed'>,
  clock: Clock,
  send: () => Promise<Answered>
): Promise<{ samples: LoadSample[]; elapsedMs: number }> {
  const start = clock.now()
  const sendAt = async (intended: number): Promise<LoadSample> => {
    const { firstTokenAt, outcome } = await send()
    return {
      latencyMs: clock.now() - intended,
      firstTokenMs: firstTokenAt === null ? null : firstTokenAt - intended,
      outcome
    }
  }
  const samples =
    arrivals.kind === 'open'
      ? await Promise.all(
          poissonArrivals(arrivals.requestRate, requests, seed).map(async after => {
            await new Promise<void>(resolve => clock.after(after, resolve))
            return sendAt(start + after)
          })
        )
      : await inTurns(arrivals, requests, () => sendAt(clock.now()))
  return { samples, elapsedMs: clock.now() - start }
}

/** Arrivals of a Poisson process, ms after its start; the first comes after a gap, too. */
export function poissonArrivals(ratePerSecond: number, count: number, seed: number): number[] {
  const rng = createRng(seed)
  let at = 0
  return Array.from({ length: count }, () => (at += (-Math.log(1 - rng.next()) * 1000) / ratePerSecond))
}

async function inTurns(
  { concurrency }: Extract<Arrivals, { kind: 'closed' }>,
  requests: number,
  send: () => Promise<LoadSample>
): Promise<LoadSample[]> {
  const samples: LoadSample[] = []
  let left = requests
  const client = async (): Promise<void> => {
    while (left-- > 0) samples.push(await send())
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, requests) }, client))
  return samples
}
