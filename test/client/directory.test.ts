import { describe, expect, test } from 'vitest'
import { type AndthenError, ManualClock, silentLogger } from '../../src/base/index.ts'
import { readDirectory } from '../../src/client/directory.ts'
import { ConnectionLostError, createIdentity, PeerUnreachableError } from '../../src/network/index.ts'
import { type Info, infoMessage, prefixed } from '../../src/wire/index.ts'
import { MemoryNetworks, MemoryStream } from '../inference/server/memory-network.ts'

const second = 1_000
const digest = new Uint8Array(32).fill(7)
const identities = await Promise.all(Array.from({ length: 3 }, () => createIdentity()))
const [first, last, spare] = identities.map(({ peerId }) => peerId) as [string, string, string]
const addressOf = (peerId: string): string => `/ip4/127.0.0.1/tcp/1/p2p/${peerId}`
const busy = (peerId: string): AndthenError => new ConnectionLostError(peerId, 'it was too busy to shake hands')
const refused = (peerId: string): AndthenError => new PeerUnreachableError(peerId, [], 'refused')

/** What becomes of each attempt to ask a peer, the last of them for good; null: nobody ever hears. */
type Outcome = Partial<Info> | AndthenError | null
const serves = (from: number, to: number): Partial<Info> => ({ from, to, modelDigest: digest, maxLength: 64 })

/** A client of peers that answer so. */
function reading(peers: Record<string, Outcome[]>, init: { peers?: string[]; signal?: AbortSignal } = {}) {
  const clock = new ManualClock()
  const asked: [string, number][] = []
  const warnings: string[] = []
  const outcomeOf = (peerId: string): Outcome => {
    asked.push([peerId, clock.now()])
    const outcomes = peers[peerId] ?? []
    return (outcomes.length > 1 ? outcomes.shift() : outcomes[0]) ?? null
  }
  const peerOf = (target: string | readonly string[]): string => [target].flat()[0]!.split('/p2p/')[1]!
  const network = {
    ...new MemoryNetworks().of('client'),
    openStream: (target: string | readonly string[], protocol: string) => {
      const outcome = outcomeOf(peerOf(target))
      if (outcome instanceof Error) return Promise.reject(outcome)
      const [here, there] = [new MemoryStream('server', protocol), new MemoryStream('client', protocol)]
      here.other = there
      there.other = here
      if (outcome !== null) there.send([prefixed(infoMessage.encode({ addresses: [], ...outcome }))])
      return Promise.resolve(here)
    },
    resolve: (address: string) =>
      address.includes('/p2p/') ? Promise.resolve(address) : Promise.resolve(`${address}/p2p/${first}`),
    ping: () => Promise.resolve(3)
  }
  const warn = (about: unknown, what: string): void => void warnings.push(`${JSON.stringify(about)} ${what}`)
  const directory = readDirectory(
    { network, clock, random: () => 0.5, logger: { ...silentLogger, warn } },
    {
      peers: init.peers ?? Object.keys(peers).map(addressOf),
      model: { name: 'tiny', digest, blocks: 8 },
      timeoutMs: 10 * second,
      signal: init.signal
    }
  )
  return { clock, asked, warnings, directory }
}

async function drive<T>(clock: ManualClock, promise: Promise<T>): Promise<T> {
  let settled = false
  promise.then(
    () => (settled = true),
    () => (settled = true)
  )
  for (let round = 0; !settled; round++) {
    if (round > 2000) throw new Error('nothing happens any more')
    for (let turn = 0; turn < 10 && !settled; turn++) await new Promise(resolve => setImmediate(resolve))
    if (!settled) clock.advance(50)
  }
  return promise
}

describe('peers that are asked what they serve', () => {
  test('are asked again while they are too busy, and those who wait are told so once a peer', async () => {
    const { clock, asked, warnings, directory } = reading({
      [first]: [busy(first), busy(first), busy(first), serves(0, 4)],
      [last]: [serves(4, 8)]
    })
    const { candidates, failures } = await drive(clock, directory)
    expect(candidates.map(({ peerId, from, to, pingMs }) => [peerId, from, to, pingMs])).toEqual([
      [last, 4, 8, 3],
      [first, 0, 4, 3]
    ])
    expect(failures).toEqual([])
    expect(asked.filter(([peerId]) => peerId === last)).toHaveLength(1)
    expect(asked.filter(([peerId]) => peerId === first).map(([, at]) => at)).toEqual([0, 250, 750, 1750])
    expect(warnings).toEqual([expect.stringContaining('asked again')])
  })

  test.each<[string, Outcome]>([
    ['nobody listens', refused(first)],
    ['another model is served', { from: 0, to: 4, modelDigest: new Uint8Array(32), model: 'other' }]
  ])('are not asked again where %s', async (_, outcome) => {
    const { clock, asked, warnings, directory } = reading({ [first]: [outcome], [last]: [serves(4, 8)] })
    expect((await drive(clock, directory)).candidates.map(({ peerId }) => peerId)).toEqual([last])
    expect(asked).toHaveLength(2)
    expect(clock.now()).toBeLessThan(second)
    expect(warnings).toEqual([expect.stringContaining('left out')])
  })

  test('and are all too busy, fail with why, when time is over and not after', async () => {
    const { clock, asked, directory } = reading({ [first]: [busy(first)], [last]: [null] })
    await expect(drive(clock, directory)).rejects.toMatchObject({ code: 'CONNECTION_LOST' })
    expect(clock.now()).toBeLessThanOrEqual(10 * second)
    expect(asked.filter(([peerId]) => peerId === first)).toHaveLength(6)
  })

  test('are waited for no longer than half a second once others do; one that had failed is told of', async () => {
    const { clock, warnings, directory } = reading({
      [first]: [serves(0, 4)],
      [last]: [serves(4, 8)],
      [spare]: [busy(spare), null]
    })
    const { candidates, failures } = await drive(clock, directory)
    expect(candidates).toHaveLength(2)
    expect(failures).toEqual([busy(spare)])
    expect(clock.now()).toBeLessThanOrEqual(second)
    expect(warnings).toEqual([expect.stringContaining('asked again'), expect.stringContaining('left out')])
  })

  test('are not waited for by who gives up, also between two attempts', async () => {
    const gaveUp = new AbortController()
    const { clock, directory } = reading({ [first]: [busy(first)] }, { signal: gaveUp.signal })
    clock.after(2 * second, () => gaveUp.abort())
    await expect(drive(clock, directory)).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(clock.now()).toBeLessThan(3 * second)
  })

  test('may be many: no listener is taken for a leak', async () => {
    const warned: string[] = []
    const onWarning = ({ name }: Error): void => void warned.push(name)
    process.on('warning', onWarning)
    const many = Array.from({ length: 12 }, (_, i) => `${first.slice(0, -2)}${'abcdefghijkm'[i]}1`)
    const { clock, directory } = reading(Object.fromEntries(many.map(peerId => [peerId, [busy(peerId), serves(0, 8)]])))
    expect((await drive(clock, directory)).candidates).toHaveLength(many.length)
    await new Promise(resolve => setImmediate(resolve))
    process.off('warning', onWarning)
    expect(warned).not.toContain('MaxListenersExceededWarning')
  })

  test('are asked under one name: who answers at an address is asked again as who it was', async () => {
    const peers = ['/ip4/127.0.0.1/tcp/1', addressOf(last)]
    const outcomes = { [first]: [busy(first), serves(0, 4)], [last]: [serves(4, 8)] }
    const { clock, asked, directory } = reading(outcomes, { peers })
    expect((await drive(clock, directory)).candidates.map(({ peerId }) => peerId)).toEqual([last, first])
    expect(asked.map(([peerId]) => peerId).toSorted()).toEqual([first, first, last].toSorted())
    const twice = reading({ [first]: [serves(0, 8)] }, { peers: [...peers.slice(0, 1), addressOf(first)] })
    expect((await drive(twice.clock, twice.directory)).candidates).toHaveLength(1)
    expect(twice.asked).toHaveLength(1)
  })
})
