import type { Connection } from '@libp2p/interface'
import { expect, it } from 'vitest'
import { type Clock, ManualClock, silentLogger } from '../../src/base/index.ts'
import { createCounters } from '../../src/network/counters.ts'
import { KeepAlive } from '../../src/network/keep-alive.ts'
import { settle } from '../inference/server/bench.ts'

const INTERVAL_MS = 1_000
const PING_MS = 300

/** A connection whose pings have the outcome that `answer` gives. */
class FakeConnection {
  readonly id = 'c'
  readonly remotePeer = 'peer'
  /** Below the encryption. */
  readonly maConn = new EventTarget()
  status = 'open'
  pings = 0
  endedBy: Error | undefined
  answer: () => Promise<never> = () => new Promise(() => undefined)

  newStream(): Promise<never> {
    this.pings++
    return this.answer()
  }

  abort(error: Error): void {
    this.status = 'aborted'
    this.endedBy = error
  }
}

const unsupported = (): Promise<never> =>
  Promise.reject(Object.assign(new Error('no such protocol'), { name: 'UnsupportedProtocolError' }))

/** @param pace of the clock that is looked at, by that of the one that rings: timers may ring a moment early */
function scene(pace = 1) {
  const clock = new ManualClock()
  const counters = createCounters()
  const paced: Clock = { now: () => clock.now() * pace, after: (ms, ring) => clock.after(ms, ring) }
  const keepAlive = new KeepAlive(
    { clock: paced, logger: silentLogger, counters },
    { intervalMs: INTERVAL_MS, pingTimeoutMs: PING_MS }
  )
  const connection = new FakeConnection()
  keepAlive.watch(connection as unknown as Connection)
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms)
    await settle()
  }
  return { keepAlive, connection, counters, pass }
}

it('a silent connection is pinged, and ended after two pings without an answer', async () => {
  const { connection, counters, pass } = scene()
  await pass(INTERVAL_MS - 1)
  expect(connection.pings).toBe(0)
  await pass(1)
  expect(connection.pings).toBe(1)
  await pass(PING_MS)
  expect([connection.pings, connection.status]).toEqual([2, 'open'])
  await pass(PING_MS)
  expect(connection.endedBy).toMatchObject({ code: 'CONNECTION_LOST' })
  expect(counters.connectionsDead).toBe(1)
})

/** A connection is ended when there was no sign of life for so long. */
const SILENT_MS = INTERVAL_MS + 2 * PING_MS

it('one that brings bytes while a ping waits lives, and is pinged again after an interval all the same', async () => {
  const { connection, pass } = scene()
  for (let i = 1; i <= 3; i++) {
    await pass(INTERVAL_MS)
    connection.maConn.dispatchEvent(new Event('message'))
    await pass(PING_MS)
    expect([connection.pings, connection.status]).toEqual([i, 'open'])
  }
})

it.each([0, 1, 299, 300, 301, 999])(
  'one that brought bytes %d ms after a look is pinged, and ended when none came for an interval and two pings',
  async after => {
    const { connection, pass } = scene()
    await pass(after)
    connection.maConn.dispatchEvent(new Event('message'))
    await pass(INTERVAL_MS - after)
    let silentMs = INTERVAL_MS - after
    for (let pings = 1; silentMs < SILENT_MS; pings++) {
      expect([connection.pings, connection.status]).toEqual([pings, 'open'])
      await pass(PING_MS)
      silentMs += PING_MS
    }
    expect(connection.status).toBe('aborted')
    expect(silentMs, 'and a ping later at most').toBeLessThan(SILENT_MS + PING_MS)
  }
)

it('bytes that come as seldom as the pings of an end that has no answers either keep it', async () => {
  const { connection, pass } = scene()
  for (let i = 0; i < 20; i++) {
    await pass(INTERVAL_MS + PING_MS)
    connection.maConn.dispatchEvent(new Event('message'))
  }
  await pass(INTERVAL_MS + PING_MS)
  expect(connection.status).toBe('open')
})

it('what drains while a ping waits is a sign of life, and what drained before is none', async () => {
  const { connection, pass } = scene()
  await pass(INTERVAL_MS)
  connection.maConn.dispatchEvent(new Event('drain'))
  await pass(PING_MS)
  expect([connection.pings, connection.status]).toEqual([1, 'open'])
  connection.maConn.dispatchEvent(new Event('drain'))
  await pass(INTERVAL_MS)
  await pass(PING_MS)
  await pass(PING_MS)
  expect([connection.pings, connection.status]).toEqual([3, 'aborted'])
})

it('a ping that is late by a timer that rings a moment early is repeated at once all the same', async () => {
  const { connection, pass } = scene(0.999)
  await pass(INTERVAL_MS)
  for (let pings = 1; pings <= 3; pings++) {
    expect([connection.pings, connection.status]).toEqual([pings, 'open'])
    await pass(PING_MS)
  }
  expect(connection.status).toBe('aborted')
})

it('a ping that fails at once is not repeated at once, and says no more than one that is not answered', async () => {
  const { connection, pass } = scene()
  connection.answer = () => Promise.reject(new Error('no stream can be had'))
  await pass(INTERVAL_MS)
  expect([connection.pings, connection.status]).toEqual([1, 'open'])
  await pass(INTERVAL_MS)
  expect([connection.pings, connection.status]).toEqual([2, 'aborted'])
})

it('an answer of any kind is a sign of life, also that pings are not known', async () => {
  const { connection, pass } = scene()
  connection.answer = unsupported
  for (let i = 1; i <= 3; i++) {
    await pass(INTERVAL_MS)
    expect([connection.pings, connection.status]).toEqual([i, 'open'])
  }
})

it('one that was forgotten is left alone, also in the middle of a ping', async () => {
  const { keepAlive, connection, pass } = scene()
  await pass(INTERVAL_MS)
  keepAlive.forget(connection as unknown as Connection)
  await pass(10 * INTERVAL_MS)
  expect([connection.pings, connection.status]).toEqual([1, 'open'])
})
