import { expect, test } from 'vitest'
import { type AndthenError, ManualClock, TimeoutError } from '../../../src/base/index.ts'
import type { ChainPeer, Pipeline } from '../../../src/inference/owner/pipeline.ts'
import { Watchdog } from '../../../src/inference/owner/watchdog.ts'

const second = 1_000
const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** A chain of one server that computes, and answers no ping. */
function watching(isNeeded?: () => boolean, stepTimeoutMs = 30 * second) {
  const clock = new ManualClock(1_000)
  const failures: AndthenError[] = []
  const pings: number[] = []
  const network = {
    ping: (_: unknown, { timeoutMs = 0 } = {}) => {
      pings.push(timeoutMs)
      return new Promise<number>((_, reject) =>
        clock.after(timeoutMs, () => reject(new TimeoutError('ping', timeoutMs)))
      )
    }
  }
  const server = { peerId: 'server', target: [], from: 0, to: 4, pingMs: 1 }
  const pipeline = {
    hops: [{ server, session: { away: false } }],
    waitingFor: { step: 0, server: 0, overtaken: false },
    fail: (_: number, error: AndthenError) => void failures.push(error)
  } as unknown as Pipeline<ChainPeer>
  const watchdog = new Watchdog({ clock, network }, { stepTimeoutMs, ...(isNeeded && { isNeeded }) })
  watchdog.watch(pipeline)
  watchdog.progress()
  return { clock, watchdog, failures, pings }
}

async function passTime(clock: ManualClock, ms: number): Promise<void> {
  for (let at = 0; at < ms; at += 250) {
    await turn()
    clock.advance(250)
  }
  await turn()
}

test.each([
  { isNeeded: false, afterMs: 3 * second },
  { isNeeded: true, afterMs: 9 * second }
])(
  'a quiet server that answers no ping is gone $afterMs ms later, needed: $isNeeded',
  async ({ isNeeded, afterMs }) => {
    const { clock, failures, pings } = watching(() => isNeeded)
    await passTime(clock, afterMs - 250)
    expect([pings, failures]).toEqual([[afterMs - second], []])
    await passTime(clock, 250)
    expect(failures).toMatchObject([{ code: 'TIMEOUT', details: { limitMs: afterMs - second } }])
  }
)

test.each([false, true])('it is not waited for longer than a step may take, needed: %s', async isNeeded => {
  const { clock, failures, pings } = watching(() => isNeeded, 2 * second)
  await passTime(clock, 2 * second - 250)
  expect([pings, failures]).toEqual([[second], []])
  await passTime(clock, 250)
  expect(failures).toMatchObject([{ code: 'TIMEOUT', details: { phase: 'step on server', limitMs: 2 * second } }])
})

test('one whose answer comes while its ping does not is there: it is asked again when it is quiet again', async () => {
  const { clock, watchdog, failures, pings } = watching()
  await passTime(clock, 2 * second)
  watchdog.progress()
  await passTime(clock, 2 * second)
  expect([pings.length, failures]).toEqual([2, []])
  await passTime(clock, 2 * second)
  expect(failures).toHaveLength(1)
})
