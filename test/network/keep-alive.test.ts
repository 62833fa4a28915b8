import type { Connection } from '@libp2p/interface'
import { expect, it } from 'vitest'
import { ManualClock, silentLogger } from '../../src/base/index.ts'
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

function scene() {
  const clock = new ManualClock()
  const counters = createCounters()
  const keepAlive = new KeepAlive(
    { clock, logger: silentLogger, counters },
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

it('one that brings bytes lives, before a ping or while it waits behind what is sent, and is pinged all the same', async () => {
  const { connection, pass } = scene()
  for (let i = 1; i <= 3; i++) {
    connection.maConn.dispatchEvent(new Event('message'))
    await pass(INTERVAL_MS)
    await pass(PING_MS)
    expect([connection.pings, connection.status]).toEqual([i, 'open'])
  }
  await pass(INTERVAL_MS)
  connection.maConn.dispatchEvent(new Event('message'))
  await pass(PING_MS)
  expect([connection.pings, connection.status]).toEqual([4, 'open'])
  await pass(INTERVAL_MS)
  await pass(PING_MS)
  await pass(PING_MS)
  expect([connection.pings, connection.status]).toEqual([6, 'aborted'])
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
  expect([connection.pings, connection.status]).toEqual([2, 'open'])
})
