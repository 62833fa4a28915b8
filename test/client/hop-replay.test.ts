import { expect, test } from 'vitest'
import { AndthenError, ManualClock } from '../../src/base/index.ts'
import type { Hop } from '../../src/client/hop.ts'
import { HopReplay } from '../../src/client/hop-replay.ts'
import { Boundaries, type SessionListener } from '../../src/inference/index.ts'
import { createDigester, type Output } from '../../src/wire/index.ts'
import { HIDDEN } from './block-runner.ts'

const rowBytes = HIDDEN * Float32Array.BYTES_PER_ELEMENT

/** A replay of two steps to one server, of which nothing is wanted. */
function replaying() {
  let heard: SessionListener | undefined
  let progress = 0
  const session = {
    credit: { steps: 8, bytes: 1024 * 1024 },
    listen: (listener: SessionListener) => void (heard = listener),
    step: () => undefined
  }
  const boundaries = new Boundaries(rowBytes)
  const kept = boundaries.at(4)
  kept.keep(kept.reserve(200))
  const stop = new AbortController()
  const replay = new HopReplay(
    {
      clock: new ManualClock(),
      boundaries,
      digest: createDigester({ modelDigest: new Uint8Array(32), hiddenSize: HIDDEN })
    },
    { server: { peerId: 'server', from: 4, to: 8 }, session } as unknown as Hop,
    { epoch: 2, outputsFrom: 200, stepTimeoutMs: 30_000, onProgress: () => progress++ },
    stop.signal
  )
  const answer = (position: number): void => void heard?.onOutput({ epoch: 2, position, replay: true } as Output, 0)
  return {
    done: replay.run(0, 200),
    answer,
    stop,
    end: (error: AndthenError) => heard?.onEnd(error),
    progress: () => progress
  }
}

test('a replay is done when all its steps are answered, each of them a sign that something comes of it', async () => {
  const { done, answer, progress } = replaying()
  answer(0)
  answer(128)
  await done
  expect(progress()).toBe(2)
})

test.each<[string, (replay: ReturnType<typeof replaying>) => void]>([
  ['has failed', ({ end }) => end(new AndthenError('GONE', 'the session is over'))],
  ['was stopped since another failed', ({ stop }) => stop.abort(new AndthenError('GONE', 'another one'))]
])('what comes of a replay that %s is no such sign', async (_, ends) => {
  const replay = replaying()
  ends(replay)
  replay.answer(0)
  await expect(replay.done).rejects.toMatchObject({ code: 'GONE' })
  expect(replay.progress()).toBe(0)
})
