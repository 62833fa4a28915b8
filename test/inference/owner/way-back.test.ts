import { expect, test } from 'vitest'
import { type AndthenError, ManualClock, silentLogger, TimeoutError } from '../../../src/base/index.ts'
import { RemoteError } from '../../../src/inference/owner/errors.ts'
import { WayBack } from '../../../src/inference/owner/way-back.ts'
import { PeerUnreachableError } from '../../../src/network/index.ts'

const incarnation = new Uint8Array(16)
const refusal = new RemoteError('server', {
  code: 'SESSION_ENDED',
  message: 'it is no more',
  retryable: true,
  retryAfterMs: 0,
  epoch: 0,
  step: 0,
  lengths: null,
  hasStep: false,
  peerId: '',
  receipts: []
})
const late = new TimeoutError('a dial', 2000)
const adopt = (): void => undefined

/** A way back on which every attempt ends as `outcomes` say, the last of them for good; null: a stream is there. */
function wayBack(outcomes: (AndthenError | null)[], patienceMs = 0) {
  const clock = new ManualClock()
  const attempts: number[] = []
  const reconnect = (): Promise<void> => {
    attempts.push(clock.now())
    const outcome = outcomes.length > 1 ? outcomes.shift()! : outcomes[0]!
    return outcome === null ? Promise.resolve() : Promise.reject(outcome)
  }
  const way = new WayBack(
    { clock, logger: silentLogger, reconnect },
    { peerId: 'server', patienceMs: () => patienceMs }
  )
  const find = (outputs: number, epoch = 1): Promise<boolean> => way.find({ incarnation, epoch, outputs }, adopt)
  return { clock, attempts, way, find }
}

/** Lets ten seconds pass, a tenth at a time. */
async function passTime(clock: ManualClock): Promise<void> {
  for (let tick = 0; tick < 100; tick++) {
    await new Promise(resolve => setImmediate(resolve))
    clock.advance(100)
  }
}

test('a server that gives streams and no answers has failed after three of them; one that answers never', async () => {
  const { find } = wayBack([null])
  const there = async (outputs: number): Promise<boolean[]> => {
    const found = []
    for (let i = 0; i < 4; i++) found.push(await find(outputs))
    return found
  }
  expect(await there(1)).toEqual([true, true, true, false])
  expect(await there(2)).toEqual([true, true, true, false])
  for (let outputs = 3; outputs < 20; outputs++) expect(await find(outputs)).toBe(true)
  expect(await find(0, 2), 'another epoch').toBe(true)
})

test('is tried once without patience, and with some again and again, less often each time', async () => {
  const once = wayBack([late])
  expect(await once.find(0)).toBe(false)
  expect(once.attempts).toEqual([0])
  const patient = wayBack([late], 4000)
  const found = patient.find(0)
  await passTime(patient.clock)
  expect(await found).toBe(false)
  expect(patient.attempts).toEqual([0, 100, 300, 700, 1500, 2500, 3500])
})

test.each<[string, AndthenError]>([
  ['the server refuses', refusal],
  ['nobody listens there any more', new PeerUnreachableError('server', [], 'refused')],
  ['it may not be dialled', new PeerUnreachableError('server', [], 'denied')]
])('is not looked for where %s', async (_, error) => {
  const { find, attempts } = wayBack([error], 4000)
  expect(await find(0)).toBe(false)
  expect(attempts).toHaveLength(1)
})

test('is given up when it is not found in the time that is left, and no timer stays', async () => {
  const { find, way, clock, attempts } = wayBack([late], 60_000)
  const found = find(0)
  const inTime = way.foundWithin(1000)
  await passTime(clock)
  expect([await found, await inTime]).toEqual([false, false])
  const tried = attempts.length
  await passTime(clock)
  expect(attempts).toHaveLength(tried)
})
