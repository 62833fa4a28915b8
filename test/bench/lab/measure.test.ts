import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import type { Link } from '../../../src/bench/lab/link.ts'
import { measureLink } from '../../../src/bench/lab/measure.ts'
import { Relay, startLink } from '../../../src/bench/lab/relay.ts'
import { runSources } from '../run-sources.ts'

let link: Link
beforeAll(async () => {
  vi.stubEnv('NODE_OPTIONS', runSources)
  // Nobody listens there: a link can be measured before its target is up.
  link = await startLink({ target: { host: '127.0.0.1', port: 9 }, up: { delayMs: 6 }, down: { delayMs: 2 } })
})
afterAll(() => link.close())

test('D is half of the median round trip, of at least 41 echoes', async () => {
  const measured = await measureLink(link, { messageBytes: 3000 })
  expect(measured.roundTripMs.n).toBe(41)
  expect(measured.oneWayMs).toBe(measured.roundTripMs.p50! / 2)
  expect(measured.oneWayMs).toBeGreaterThanOrEqual(4)
  expect(measured.messageBytes).toBe(3000)
  expect((await link.stats()).connections.total, 'measured beside the link, not through it').toBe(0)
})

test('too few echoes for a median are refused', async () => {
  await expect(measureLink(link, { echoes: 40 })).rejects.toMatchObject({ code: 'USAGE' })
})

test('a relay that was killed is an error, at once and for good, and closes all the same', async () => {
  const relay = new Relay()
  const doomed = await relay.startLink({ target: { host: '127.0.0.1', port: 9 }, delayMs: 1 })
  process.kill(relay.pid!, 'SIGKILL')
  await expect(measureLink(doomed)).rejects.toMatchObject({ code: 'MEASUREMENT_FAILED' })
  await expect(doomed.stats()).rejects.toMatchObject({ code: 'PROCESS_FAILED' })
  await relay.close()
})
