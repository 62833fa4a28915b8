import type { Stream } from '@libp2p/interface'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createCounters } from '../../src/network/counters.ts'
import { MuxedStream } from '../../src/network/muxed-stream.ts'

const second = 1_000
beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('what was sent before a close is not reset away from a peer that takes 10 s to read it', async () => {
  const abort = vi.fn()
  const stream = Object.assign(new EventTarget(), {
    protocol: '/test/info',
    status: 'open',
    remoteWriteStatus: 'writable',
    close: () => Promise.resolve(),
    abort
  }) as unknown as Stream
  const counters = createCounters()
  const muxed = new MuxedStream({ stream, counters, remotePeer: 'client', remoteHost: '::1', onEnd: () => undefined })
  void muxed.close()
  await vi.advanceTimersByTimeAsync(10 * second - 1)
  expect(abort).not.toHaveBeenCalled()
  await vi.advanceTimersByTimeAsync(1)
  expect(abort).toHaveBeenCalledOnce()
})
