import { afterEach, expect, it } from 'vitest'
import { AnsweredAddresses } from '../../src/network/answered-addresses.ts'
import { createIdentity } from '../../src/network/index.ts'
import { Cluster } from './cluster.ts'

const cluster = new Cluster()
afterEach(() => cluster.close())

it('the last addresses are remembered that have answered', () => {
  const answered = new AnsweredAddresses({ most: 2 })
  for (const address of ['a', 'b', 'a', 'c']) answered.add(address)
  expect(['a', 'b', 'c'].map(address => answered.has(address))).toEqual([true, false, true])
})

it('an address has answered where the peer that it names was there, and no other', async () => {
  const [server, client] = [await cluster.server(), await cluster.client()]
  const [address = ''] = server.addresses()
  const wrong = address.replace(server.peerId, (await createIdentity()).peerId)
  expect(client.hasAnswered(address)).toBe(false)
  await expect(client.connect(wrong, { askedBy: 'mallory' })).rejects.toMatchObject({ reason: 'wrong-peer' })
  await client.connect(address, { askedBy: 'ann' })
  expect([client.hasAnswered(address), client.hasAnswered(wrong)]).toEqual([true, false])
  await server.close()
  expect(client.hasAnswered(address)).toBe(true)
})
