import { describe, expect, test } from 'vitest'
import { AndthenError } from '../../../src/base/index.ts'
import type { SpanSession } from '../../../src/inference/owner/index.ts'
import { listening, opened, parts, Script, turns } from './script.ts'

describe('opening a session', () => {
  test('says what is wanted, and gives what was granted', async () => {
    const script = new Script()
    const session = await script.opened()
    expect(script.heard).toMatchObject([
      { kind: 'open', value: { version: 1, from: 4, to: 8, maxLength: 100, codec: 0, verify: 2, replace: false } }
    ])
    expect(session).toMatchObject({ peerId: 'server', alive: true, credit: { steps: 8, bytes: 4096 } })
    expect([...session.opened.pushKey]).toEqual([...opened.pushKey])
  })

  test('draws another id each time', async () => {
    const ids = []
    for (const script of [new Script(), new Script()]) {
      await script.opened()
      const [open] = script.heard
      ids.push(open?.kind === 'open' ? Buffer.from(open.value.id).toString('hex') : '')
    }
    expect(ids[0]).toHaveLength(32)
    expect(ids[0]).not.toBe(ids[1])
  })

  test('keeps code, advice and message of a refusal', async () => {
    const script = new Script()
    const session = script.open()
    await turns()
    script.say({
      kind: 'error',
      value: { code: 'BUSY', message: 'all 8 sessions are taken', retryable: true, retryAfterMs: 500 }
    })
    await expect(session).rejects.toMatchObject({
      name: 'RemoteError',
      code: 'BUSY',
      retryable: true,
      message: 'peer server: all 8 sessions are taken',
      details: { retryAfterMs: 500 }
    })
    expect(script.stream.other.ended).toBe(true)
  })

  test('waits in a backlog as long as the server says so', async () => {
    const script = new Script()
    const session = script.open()
    for (const place of [2, 1]) {
      await turns()
      script.clock.advance(9000)
      script.say({ kind: 'queued', value: { place } })
    }
    await turns()
    script.say({ kind: 'opened', value: opened })
    expect((await session).alive).toBe(true)
  })

  test.each<[string, (script: Script, abort: AbortController) => void, string]>([
    ['a server that says nothing', script => script.clock.advance(10_000), 'TIMEOUT'],
    ['a caller that gives up', (_, abort) => abort.abort(), 'CANCELLED'],
    ['a stream that closes', script => void script.stream.close(), 'CONNECTION_LOST'],
    ['garbage', script => void script.stream.send([new Uint8Array([3, 255, 255, 255])]), 'FRAME_MALFORMED'],
    ['an answer to what was never asked', script => script.say({ kind: 'needCopy', value: {} }), 'SERVER_FAULT'],
    [
      'a session that is ended at once',
      script => script.say({ kind: 'terminated', value: { reason: 'DRAIN' } }),
      'SESSION_TERMINATED'
    ]
  ])('fails with %s', async (_, happens, code) => {
    const script = new Script()
    const abort = new AbortController()
    const session = script.open(abort.signal)
    const failure = expect(session).rejects.toMatchObject({ code })
    await turns()
    happens(script, abort)
    await failure
  })
})

describe('an open session', () => {
  test('tells an output by its header, before its tensor', async () => {
    const script = new Script()
    const session = await script.opened()
    const heard = listening(session)
    script.say({ kind: 'output', value: { ...parts, step: 5 } }, new Uint8Array(8).fill(7))
    script.say({ kind: 'output', value: { ...parts, step: 6, lengths: { length: 4, committed: 3 } } })
    script.say({ kind: 'needCopy', value: { step: 7 } })
    script.say({ kind: 'mismatch', value: { step: 8 } })
    await turns()
    expect(heard).toEqual(['output 5 of 8', 'tensor 5: 7', 'output 6 of 0', 'need copy 7', 'mismatch 8'])
    expect(session.lengths).toEqual({ length: 4, committed: 3 })
  })

  test('reads past a tensor that nobody wants', async () => {
    const script = new Script()
    const heard = listening(await script.opened(), 4)
    script.say({ kind: 'output', value: { ...parts, step: 5 } }, new Uint8Array(8))
    script.say({ kind: 'needCopy', value: { step: 7 } })
    await turns()
    expect(heard).toEqual(['output 5 of 8', 'need copy 7'])
  })

  test('drops steps of an epoch that a rewind has ended, where they are not sent yet', async () => {
    const script = new Script()
    const session = await script.opened()
    script.stream.other.stalled = true
    for (const step of [0, 1]) session.step({ epoch: 1, step, n: 1 }, new Uint8Array(16))
    const rewound = session.rewind({ epoch: 2, length: 0, upstreamNone: true, nextNone: true })
    session.step({ epoch: 2, step: 0, n: 1 }, new Uint8Array(16))
    script.stream.other.stalled = false
    script.stream.other.onDrain()
    await turns()
    const sent = script.heard
      .slice(1)
      .map(message => `${message.kind} ${'epoch' in message.value ? message.value.epoch : ''}`)
    expect(sent).toEqual(['step 1', 'rewind 2', 'step 2'])
    script.say({ kind: 'rewound', value: { epoch: 2, lengths: { length: 0, committed: 0 } } })
    expect(await rewound).toMatchObject({ epoch: 2 })
  })

  test('gives up a rewind that is not answered within 3 s, and only that', async () => {
    const script = new Script()
    const session = await script.opened()
    const failure = expect(session.rewind({ epoch: 1 })).rejects.toMatchObject({ code: 'TIMEOUT' })
    script.clock.advance(3000)
    await failure
    expect(session.alive).toBe(true)
  })

  test('ends by Close, when what was sent before is sent, and returns the last word', async () => {
    const script = new Script()
    const session = await script.opened()
    const heard = listening(session)
    script.stream.other.stalled = true
    session.step({ step: 0, n: 1 }, new Uint8Array(16))
    session.step({ step: 1, n: 1 }, new Uint8Array(16))
    const last = session.close()
    await turns()
    expect(script.kinds(), 'a copy that proves the last step is not overtaken').toEqual(['open'])
    script.stream.other.stalled = false
    script.stream.other.onDrain()
    await turns()
    expect(script.kinds()).toEqual(['open', 'step', 'step', 'close'])
    script.say({
      kind: 'terminated',
      value: { reason: 'END', lengths: { length: 2, committed: 2 }, pushes: { used: 2 } }
    })
    expect(await last).toMatchObject({ reason: 'END' })
    expect(session).toMatchObject({ alive: false, lengths: { committed: 2 }, pushes: { used: 2 } })
    await turns()
    expect(heard, 'who closes a session is not told of its end').toEqual([])
  })

  test('does not wait for a last word longer than a second', async () => {
    const script = new Script()
    const session = await script.opened()
    const last = session.close()
    await turns()
    script.clock.advance(1000)
    expect(await last).toBeNull()
    expect(await session.close(), 'once is enough').toBeNull()
  })

  test('closes in a second, however much of what it was sent a server takes', async () => {
    const script = new Script()
    const session = await script.opened()
    script.stream.other.stalled = true
    for (const step of [0, 1]) session.step({ step, n: 1 }, new Uint8Array(16))
    const last = session.close()
    await turns()
    script.clock.advance(1000)
    expect(await last).toBeNull()
    expect(script.stream.other.ended).toBe(true)
  })

  test('ended by the server while it is being closed: that is the last word', async () => {
    const script = new Script()
    const session = await script.opened()
    script.stream.other.stalled = true
    for (const step of [0, 1]) session.step({ step, n: 1 }, new Uint8Array(16))
    const last = session.close()
    script.say({ kind: 'terminated', value: { reason: 'DRAIN' } })
    await turns()
    expect(await last).toMatchObject({ reason: 'DRAIN' })
  })

  test('tells each who waits that all is sent; or that it takes too long', async () => {
    const script = new Script()
    const session = await script.opened()
    const block = (): void => {
      script.stream.other.stalled = true
      for (const step of [0, 1]) session.step({ step, n: 1 }, new Uint8Array(16))
    }
    block()
    const waiting = [session.flushed(), session.flushed()]
    script.stream.other.stalled = false
    script.stream.other.onDrain()
    await Promise.all(waiting)
    block()
    const failures = [session.flushed(), session.flushed()].map(flushed =>
      expect(flushed).rejects.toMatchObject({ code: 'TIMEOUT' })
    )
    script.clock.advance(3000)
    await Promise.all(failures)
  })

  test.each<[string, (session: SpanSession) => void, string]>([
    ['given up', session => session.abort(new AndthenError('FROZEN', 'no answer')), 'FROZEN'],
    ['closed', session => void session.close(), 'CANCELLED']
  ])('that is %s answers no rewind any more, and says so at once', async (_, ends, code) => {
    const script = new Script()
    const session = await script.opened()
    const failure = expect(session.rewind({ epoch: 1 })).rejects.toMatchObject({ code })
    ends(session)
    await failure
  })

  test('sends no rewind that is too long for a header, and waits for no answer to it', async () => {
    const script = new Script()
    const session = await script.opened()
    const addresses = [`/dns4/${'a'.repeat(70_000)}/tcp/1`]
    const next = { peerId: 'next', addresses, pushKey: new Uint8Array(16) }
    await expect(session.rewind({ epoch: 1, next })).rejects.toMatchObject({ name: 'WireError' })
    script.clock.advance(2000)
    const rewound = session.rewind({ epoch: 1 })
    script.clock.advance(2000)
    script.say({ kind: 'rewound', value: { epoch: 1, lengths: { length: 0, committed: 0 } } })
    expect(await rewound, 'no deadline of the first ends the second').toMatchObject({ epoch: 1 })
  })

  test.each<[string, (script: Script) => void, string]>([
    [
      'ended by the server',
      script => script.say({ kind: 'terminated', value: { reason: 'IDLE' } }),
      'SESSION_TERMINATED'
    ],
    ['refused a step', script => script.say({ kind: 'error', value: { code: 'GAP', message: 'a gap' } }), 'GAP'],
    ['lost with its stream', script => script.stream.abort(new Error('reset')), 'CONNECTION_LOST'],
    ['closed by the server', script => void script.stream.close(), 'CONNECTION_LOST'],
    ['sent garbage', script => void script.stream.send([new Uint8Array([0])]), 'FRAME_MALFORMED'],
    [
      'sent a tensor that is too long',
      script => script.say({ kind: 'output', value: parts }, new Uint8Array(1001)),
      'TENSOR_TOO_LARGE'
    ],
    ['opened again', script => script.say({ kind: 'opened', value: opened }), 'SERVER_FAULT']
  ])('that is %s tells it once, and what waits for a rewind too', async (_, happens, code) => {
    const script = new Script()
    const session = await script.opened()
    const heard = listening(session)
    const rewind = expect(session.rewind({ epoch: 1 })).rejects.toMatchObject({ code })
    happens(script)
    await rewind
    await turns()
    expect(heard).toEqual([`end ${code}`])
    expect(session.alive).toBe(false)
    await expect(session.rewind({ epoch: 2 })).rejects.toMatchObject({ code })
    expect(listening(session), 'who listens later is told as well').toEqual([`end ${code}`])
  })

  test('that was refused something is closed: its place there is wanted by others', async () => {
    const script = new Script()
    await script.opened()
    script.say({ kind: 'error', value: { code: 'GAP', message: 'a gap' } })
    await turns()
    expect(script.kinds()).toEqual(['open', 'close'])
    script.say({ kind: 'terminated', value: { reason: 'END' } })
    await turns()
    expect(script.stream.other.ended).toBe(true)
  })

  describe('whose stream is lost', () => {
    /** The session, and the server's word on the stream that it comes back on. */
    async function lost(): Promise<{ session: SpanSession; heard: string[]; first: Script; second: Script }> {
      const [first, second] = [new Script(), new Script()]
      const session = await first.opened()
      first.later.push(second.stream.other)
      return { session, heard: listening(session), first, second }
    }
    const resumed = { kind: 'resumed', value: { ...opened, epoch: 1, nextStep: 1 } } as const

    test('hears once of a mismatch that is said again, and counts it once', async () => {
      const { session, heard, first, second } = await lost()
      first.say({ kind: 'mismatch', value: { epoch: 1, step: 0 } })
      await turns()
      first.stream.abort(new Error('reset'))
      await turns()
      expect(second.kinds()).toEqual(['resume'])
      second.say(resumed)
      second.say({ kind: 'mismatch', value: { epoch: 1, step: 0 } })
      await turns()
      expect(heard).toEqual(['mismatch 0'])
      expect(session).toMatchObject({ resumes: 1, alive: true, pushes: { mismatched: 1 } })
    })

    test('is not kept waiting by a server that queues what cannot be queued', async () => {
      const { session, heard, first, second } = await lost()
      first.stream.abort(new Error('reset'))
      await turns()
      second.say({ kind: 'queued', value: { place: 1 } })
      await turns()
      expect(session.alive).toBe(false)
      expect(heard).toEqual(['end CONNECTION_LOST'])
    })

    test('says what proves the epoch before, and then that it is over', async () => {
      const { session, first, second } = await lost()
      session.step({ step: 0, n: 1 }, null)
      first.say({ kind: 'output', value: { ...parts, step: 0, n: 1 } })
      await turns()
      session.verify({ step: 0, digest: new Uint8Array(32) })
      const rewound = session.rewind({ epoch: 1, length: 1 })
      first.stream.abort(new Error('reset'))
      await turns()
      second.say({ kind: 'resumed', value: { ...opened, epoch: 0, nextStep: 1 } })
      await turns()
      expect(second.kinds()).toEqual(['resume', 'verify', 'rewind'])
      second.say({ kind: 'rewound', value: { epoch: 1, lengths: { length: 1, committed: 1 } } })
      expect(await rewound).toMatchObject({ lengths: { committed: 1 } })
    })

    test('is flushed when what is said again is with the next stream', async () => {
      const { session, first, second } = await lost()
      void session.rewind({ epoch: 1 })
      first.stream.other.stalled = true
      session.step({ epoch: 1, step: 0, n: 1 }, new Uint8Array(16))
      session.step({ epoch: 1, step: 1, n: 1 }, new Uint8Array(16))
      let flushed = false
      void session.flushed().then(() => (flushed = true))
      first.stream.abort(new Error('reset'))
      await turns()
      expect([flushed, second.kinds()]).toEqual([false, ['resume']])
      second.say(resumed)
      await turns()
      expect([flushed, second.kinds()]).toEqual([true, ['resume', 'step', 'step']])
    })
  })

  test('that is given up says nothing, and hears nothing', async () => {
    const script = new Script()
    const session = await script.opened()
    const heard = listening(session)
    session.abort(new AndthenError('FROZEN', 'no answer'))
    await turns()
    expect([heard, script.kinds()]).toEqual([[], ['open']])
  })
})
