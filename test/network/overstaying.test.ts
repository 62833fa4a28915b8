import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { ManualClock } from '../../src/base/index.ts'
import type { Network } from '../../src/network/index.ts'
import { type Attacker, type Hostile, startAttacker } from './attacker.ts'
import { Cluster, echo, until } from './cluster.ts'

// A peer that was told that its connection closes, and goes on as if it had not been. It keeps it for a grace, and not until
// the node is full.

const IDLE_MS = 1_000
const GRACE_MS = 10_000
const cluster = new Cluster()
let attacker: Attacker
let clock: ManualClock
let server: Network
let stranger: Hostile
beforeAll(async () => {
  attacker = await startAttacker()
})
beforeEach(async () => {
  clock = new ManualClock()
  server = await cluster.server({ clock, connectionIdleTimeoutMs: IDLE_MS, keepAliveMs: 0 })
  await server.handle('/test/echo', echo)
  stranger = await attacker.connect(server.addresses()[0] ?? '')
  await until(() => server.counters.connectionsOpen === 1)
})
afterEach(() => cluster.close())
afterAll(() => attacker.stop())

const isOpen = (): boolean => stranger.connection.status === 'open'
/** Lets pass what the server waits for, a little at a time, so that what it does meanwhile can happen. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 50) {
    clock.advance(50)
    await new Promise(resolve => setImmediate(resolve))
  }
}

it('it does not stay by streams that take no lease', async () => {
  await stranger.connection.newStream('/ipfs/ping/1.0.0')
  await pass(IDLE_MS + GRACE_MS / 2)
  expect(isOpen()).toBe(true)
  await pass(GRACE_MS)
  await until(() => !isOpen())
  expect(server.counters).toMatchObject({ connectionsOpen: 0, connectionsOverstayed: 1, connectionsIdleClosed: 0 })
})

it('it does not stay by opening more streams; what crossed the goodbye goes on until then', async () => {
  await stranger.connection.newStream('/ipfs/ping/1.0.0')
  await pass(IDLE_MS)
  const crossing = await stranger.connection.newStream('/test/echo')
  await until(() => server.counters.streamsOpen === 1)
  await pass(GRACE_MS / 2)
  await stranger.connection.newStream('/test/echo')
  await until(() => server.counters.streamsOpen === 2)
  await pass(GRACE_MS)
  // What is in use is not ended for its age.
  expect([isOpen(), crossing.status]).toEqual([true, 'open'])
  await stranger.connection.newStream('/test/echo').catch(() => undefined)
  await until(() => !isOpen())
  expect(server.counters).toMatchObject({ connectionsOpen: 0, streamsOpen: 0, leasesOpen: 0, connectionsOverstayed: 1 })
})
