import { expect, test } from 'vitest'
import { AndthenError } from '../../../src/base/index.ts'
import { openInOrder, type OpenSessionOptions, type SpanSession } from '../../../src/inference/owner/index.ts'
import { turns } from './script.ts'

/** Servers of these peer ids, each of which answers when, and what, the test says. */
function scene(...peerIds: string[]) {
  const asked = new Map<string, OpenSessionOptions & { resolve(): void; reject(code: string): void }>()
  const closed: string[] = []
  const open = ({ peerId }: { peerId: string }, options: OpenSessionOptions): Promise<SpanSession> =>
    new Promise((resolve, reject) => {
      const fail = (code: string): void => reject(new AndthenError(code, code))
      options.signal?.addEventListener('abort', () => fail('CANCELLED'))
      const session = { peerId, close: () => Promise.resolve(closed.push(peerId)) } as unknown as SpanSession
      asked.set(peerId, { ...options, resolve: () => resolve(session), reject: fail })
    })
  const peers = peerIds.map(peerId => ({ peerId }))
  return { at: (peerId: string) => asked.get(peerId)!, closed, opening: openInOrder(peers, open) }
}

test('servers that fail are told by the one that failed first', async () => {
  const { at, opening } = scene('b', 'c', 'a')
  at('c').reject('LATE')
  await turns()
  at('a').reject('REFUSED')
  at('b').resolve()
  const { sessions, failure } = await opening
  expect([...sessions.keys()]).toEqual([{ peerId: 'b' }])
  expect(failure).toMatchObject({ peer: { peerId: 'c' }, error: { code: 'LATE' } })
})

test('one that fails behind one that lets wait is asked again in its turn', async () => {
  const { at, closed, opening } = scene('a', 'b', 'c')
  at('c').reject('BUSY')
  at('b').resolve()
  await turns()
  at('a').onQueued?.()
  at('a').resolve()
  await turns()
  expect(closed).toEqual(['b'])
  at('b').resolve()
  at('c').resolve()
  const { sessions, failure } = await opening
  expect([sessions.size, failure]).toEqual([3, null])
})

test('one that failed before one that lets wait has failed, also where one behind failed first', async () => {
  const { at, opening } = scene('a', 'b', 'c')
  at('c').reject('BUSY')
  await turns()
  at('a').reject('REFUSED')
  await turns()
  at('b').onQueued?.()
  at('b').resolve()
  const { sessions, failure } = await opening
  expect([...sessions.keys()]).toEqual([{ peerId: 'b' }])
  expect(failure).toMatchObject({ peer: { peerId: 'a' }, error: { code: 'REFUSED' } })
})
