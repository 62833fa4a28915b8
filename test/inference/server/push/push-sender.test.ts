import { beforeEach, expect, it } from 'vitest'
import { ManualClock, silentLogger } from '../../../../src/base/index.ts'
import { createIdentity, type Network } from '../../../../src/network/index.ts'
import { DialPolicy } from '../../../../src/inference/server/dial-policy.ts'
import { PushSender } from '../../../../src/inference/server/push/push-sender.ts'
import type { PushTarget } from '../../../../src/inference/server/push/push-target.ts'
import { modelDigest, settle } from '../bench.ts'
import { MemoryStream } from '../memory-network.ts'

const { peerId } = await createIdentity()
const hole = '/ip4/10.0.0.1/tcp/1'
const good = '/ip4/10.0.0.2/tcp/1'

let sender: PushSender
/** Dials under way, by the address that was named. */
let dials: Map<string, { by: string | undefined; answer: (stream: MemoryStream) => void; fail: () => void }>
let clock: ManualClock
beforeEach(() => {
  dials = new Map()
  const openStream: Network['openStream'] = (target, protocol, { askedBy } = {}) =>
    new Promise((resolve, reject) => {
      expect(protocol).toBe('/andthen/push/1.0.0')
      const dial = { by: askedBy, answer: resolve, fail: () => reject(new Error('silent')) }
      dials.set([target].flat().join().replaceAll(`/p2p/${peerId}`, ''), dial)
    })
  clock = new ManualClock()
  const policy = new DialPolicy({ clock, ownAddresses: () => [], isConnected: () => false, hasAnswered: () => false })
  sender = new PushSender(
    { network: { openStream }, policy, clock, logger: silentLogger },
    { modelDigest, boundary: 4 }
  )
})

let keys = 0
const named = (addresses: string[], owner: string): PushTarget =>
  sender.attach(
    { peerId, addresses, pushKey: (keys++).toString(16).padStart(32, '0') },
    { peer: owner, host: `host of ${owner}` }
  )
/** The next server's end, where it sees who attaches. */
function connect(address: string): { readonly heard: Buffer[]; readonly here: MemoryStream } {
  const [here, there] = [new MemoryStream(peerId, 'push'), new MemoryStream('this node', 'push')]
  here.other = there
  there.other = here
  const heard: Buffer[] = []
  there.onData = chunk => heard.push(Buffer.from(chunk))
  dials.get(address)?.answer(here)
  return { heard, here }
}

it('a session does not wait for the address that another one names for the same next server', async () => {
  const stuck = named([hole], 'mallory')
  const honest = named([good], 'ann')
  expect([...dials].map(([address, { by }]) => [address, by])).toEqual([
    [hole, 'host of mallory'],
    [good, 'host of ann']
  ])
  const { heard } = connect(good)
  await settle()
  // The stream is to the peer that both named: both attach.
  const attaches = Buffer.concat(heard).toString('hex')
  for (const { next } of [stuck, honest]) expect(attaches).toContain(next.pushKey)
})

it('an address that fails is told to the sessions that named it, and to no others', async () => {
  const stuck = named([hole], 'mallory')
  const honest = named([good], 'ann')
  dials.get(hole)?.fail()
  await settle()
  expect([stuck.permit(1), honest.permit(1)]).toEqual(['UNREACHABLE', 'NOT_ATTACHED'])
})

it('one stream is kept of two that came, and a failure after it is none', async () => {
  named([hole], 'mallory')
  named([good], 'ann')
  const third = named([good, hole], 'bob')
  const first = connect(good)
  await settle()
  const second = connect(hole)
  dials.get(`${good},${hole}`)?.fail()
  await settle()
  expect([first.here.ended, second.here.ended, third.permit(1)]).toEqual([false, true, 'NOT_ATTACHED'])
})

it('sessions that name the same address share a dial', () => {
  named([good], 'ann')
  named([good], 'bob')
  expect([...dials.keys()]).toEqual([good])
  expect(dials.get(good)?.by).toBe('host of ann')
})

it('steps do not use up the dials of a host where a next server is not there: another one of that host is dialled', async () => {
  const gone = named([hole], 'ann')
  const step = { epoch: 0, step: 0, position: 0, n: 1 } as Parameters<PushSender['push']>[1]
  let made = 0
  for (let i = 0; i < 600; i++, clock.advance(50)) {
    if (dials.get(hole) !== undefined) made++
    dials.get(hole)?.fail()
    dials.delete(hole)
    await settle()
    expect(sender.push(gone, step, new Uint8Array(16), () => false)).toBe('UNREACHABLE')
  }
  // Of half a minute, in which an owner has 48 dials.
  expect(made).toBeLessThan(20)
  const neighbour = `${hole.slice(0, -1)}2`
  named([neighbour], 'ann')
  expect([...dials.keys()]).toContain(neighbour)
  clock.advance(2_000)
  sender.push(gone, step, new Uint8Array(16), () => false)
  expect([...dials.keys()], 'and it is come back to').toContain(hole)
})
