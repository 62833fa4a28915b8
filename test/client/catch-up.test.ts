import { describe, expect, test } from 'vitest'
import { AndthenError, ManualClock } from '../../src/base/index.ts'
import { catchUp } from '../../src/client/catch-up.ts'
import type { Hop } from '../../src/client/hop.ts'
import { Boundaries, type SessionListener } from '../../src/inference/index.ts'
import { createDigester, type Mismatch, type Output } from '../../src/wire/index.ts'
import { HIDDEN } from './block-runner.ts'

const gone = new AndthenError('GONE', 'the session is over')
const rowBytes = HIDDEN * Float32Array.BYTES_PER_ELEMENT

/** A route of one session, at which things happen as the test says: at once, or when a step comes. */
function route(happens: {
  listened?: (listener: SessionListener) => void
  stepped?: (listener: SessionListener) => void
}) {
  const clock = new ManualClock()
  const boundaries = new Boundaries(rowBytes)
  const kept = boundaries.at(0)
  kept.keep(kept.reserve(300))
  const steps: number[] = []
  let progress = 0
  let heard: SessionListener
  const session = {
    opened: { pushKey: new Uint8Array(16) },
    uplinkIdle: true,
    listen(listener: SessionListener) {
      heard = listener
      happens.listened?.(listener)
    },
    step({ position }: { position: number }) {
      steps.push(position)
      happens.stepped?.(heard)
    }
  }
  const server = {
    peerId: 'first',
    target: [],
    addresses: [],
    from: 0,
    to: 12,
    maxLength: 1,
    pingMs: 1,
    delegateBytes: 1
  }
  const hop = { server, session, pushed: false } as unknown as Hop
  const digest = createDigester({ modelDigest: new Uint8Array(32), hiddenSize: HIDDEN })
  const abort = new AbortController()
  const done = catchUp(
    { clock, digest, boundaries },
    hop,
    { epoch: 1, position: 300, verify: 'auto', stepTimeoutMs: 30_000, onProgress: () => progress++ },
    abort.signal
  )
  /** The first server answers its first step. */
  const answer = (): void => {
    const n = 128
    const [{ bytes }] = kept.runs(0, n, n) as unknown as [{ bytes: Uint8Array }]
    const inputDigest = digest({ boundary: 0, position: 0, n }, bytes)
    heard.onOutput({ epoch: 1, step: 0, position: 0, n, replay: false, inputDigest } as Output, 0)
  }
  return { done, clock, steps, abort, answer, progress: () => progress }
}

describe('catching up fails at once', () => {
  test('when the session is over before it begins', async () => {
    const { done, steps } = route({ listened: listener => listener.onEnd(gone) })
    await expect(done).rejects.toMatchObject({ peerId: 'first', cause: gone })
    expect(steps).toEqual([])
  })

  test('when the session ends in the middle', async () => {
    const { done, steps } = route({ stepped: listener => listener.onEnd(gone) })
    await expect(done).rejects.toMatchObject({ peerId: 'first', cause: gone })
    expect(steps).toEqual([0])
  })

  test('when the first server reports a mismatch', async () => {
    const mismatch = { epoch: 1, step: 0 } as Mismatch
    const { done } = route({ stepped: listener => listener.onMismatch(mismatch) })
    await expect(done).rejects.toMatchObject({ peerId: 'first', cause: { code: 'SERVER_FAULT' } })
  })

  test('when it is cancelled, and when a step takes too long', async () => {
    const cancelled = route({})
    cancelled.abort.abort()
    await expect(cancelled.done).rejects.toMatchObject({ code: 'CANCELLED' })
    const slow = route({})
    slow.clock.advance(30_000)
    await expect(slow.done).rejects.toMatchObject({ peerId: 'first', cause: { code: 'TIMEOUT' } })
  })
})

test('an answer is progress until catching up has failed, and none once it has', async () => {
  const { done, clock, answer, progress } = route({})
  answer()
  expect(progress()).toBe(1)
  const slow = route({})
  clock.advance(30_000)
  slow.clock.advance(30_000)
  slow.answer()
  await expect(Promise.allSettled([done, slow.done])).resolves.toMatchObject([
    { status: 'rejected' },
    { status: 'rejected' }
  ])
  expect(slow.progress()).toBe(0)
})
