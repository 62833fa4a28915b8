import { expect, test } from 'vitest'
import { ManualClock } from '../../../src/base/index.ts'
import { PendingRewinds } from '../../../src/inference/owner/pending-rewinds.ts'

const lengths = { length: 4, committed: 4 }
const standing = (epoch: number) => ({ epoch, lengths })

test('one that the server has heard is answered by where it stands; one that it has not is to be said again', async () => {
  const rewinds = new PendingRewinds(new ManualClock(), 'server')
  const heard = rewinds.add({ epoch: 1, length: 4 })
  const lost = rewinds.add({ epoch: 2, length: 3 })
  rewinds.hold()
  expect(rewinds.unheard(standing(1))).toEqual([{ epoch: 2, length: 3 }])
  expect(await heard).toMatchObject({ epoch: 1, lengths })
  rewinds.answered({ epoch: 2, lengths, attached: new Uint8Array(), notAttached: 0 })
  expect(await lost).toMatchObject({ epoch: 2 })
})

test('no time counts while the connection is lost; when it is back the deadline begins anew', async () => {
  const clock = new ManualClock()
  const rewinds = new PendingRewinds(clock, 'server')
  const before = rewinds.add({ epoch: 1 })
  clock.advance(2000)
  rewinds.hold()
  const meanwhile = rewinds.add({ epoch: 2 })
  clock.advance(8000)
  expect(rewinds.unheard(standing(0)).map(({ epoch }) => epoch)).toEqual([1, 2])
  clock.advance(2999)
  rewinds.answered({ epoch: 1, lengths, attached: new Uint8Array(), notAttached: 0 })
  expect(await before).toMatchObject({ epoch: 1 })
  const late = expect(meanwhile).rejects.toMatchObject({ code: 'TIMEOUT' })
  clock.advance(1)
  await late
})
