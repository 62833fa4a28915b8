import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ManualClock } from '../../../src/base/index.ts'
import { askInfo } from '../../../src/inference/owner/index.ts'
import { infoMessage, prefixed } from '../../../src/wire/index.ts'
import { MemoryStream } from '../server/memory-network.ts'

function asking(signal?: AbortSignal) {
  const clock = new ManualClock()
  const [client, server] = [new MemoryStream('server', 'info'), new MemoryStream('client', 'info')]
  client.other = server
  server.other = client
  const answer = askInfo({ openStream: () => Promise.resolve(client) }, 'server', {
    clock,
    ...(signal === undefined ? {} : { signal })
  })
  return { clock, client, server, answer }
}
const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
const frame = Buffer.from(
  prefixed(infoMessage.encode({ model: 'tiny', from: 4, to: 8, addresses: ['/ip4/127.0.0.1/tcp/1'] }))
)

describe('what a peer serves', () => {
  test('is read however its answer is cut', async () => {
    const cuts = fc.array(fc.nat(frame.length), { maxLength: 5 }).map(list => list.sort((a, b) => a - b))
    await fc.assert(
      fc.asyncProperty(cuts, async list => {
        const { server, answer } = asking()
        await turn()
        const bounds = [0, ...list, frame.length]
        for (const [i, from] of bounds.slice(0, -1).entries()) server.send([frame.subarray(from, bounds[i + 1])])
        expect(await answer).toMatchObject({ model: 'tiny', from: 4, to: 8, addresses: ['/ip4/127.0.0.1/tcp/1'] })
      })
    )
  })

  test.each<[string, (s: ReturnType<typeof asking>, abort: AbortController) => void, string]>([
    ['it says nothing', ({ clock }) => clock.advance(10_000), 'TIMEOUT'],
    ['the caller gives up', (_, abort) => abort.abort(), 'CANCELLED'],
    [
      'it closes in the middle',
      ({ server }) => void [server.send([frame.subarray(0, 5)]), server.close()],
      'CONNECTION_LOST'
    ],
    [
      'it says more than an answer may hold',
      ({ server }) => void server.send([Buffer.from([0xff, 0xff, 0x7f])]),
      'FRAME_TOO_LARGE'
    ],
    ['it says what is no answer', ({ server }) => void server.send([Buffer.from([2, 0xff, 0xff])]), 'FRAME_MALFORMED']
  ])('is not known where %s', async (_, happens, code) => {
    const abort = new AbortController()
    const parts = asking(abort.signal)
    const failure = expect(parts.answer).rejects.toMatchObject({ code })
    await turn()
    happens(parts, abort)
    await failure
  })
})
