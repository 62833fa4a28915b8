import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { attachFrames, infoMessage, ownerFrames, pushFrames, serverFrames } from '../../src/wire/index.ts'

const u32 = fc.nat(0xffffffff)
const key = fc.uint8Array({ minLength: 16, maxLength: 16 })
const digest = fc.uint8Array({ minLength: 32, maxLength: 32 })
const lengths = fc.record({ length: u32, committed: u32 })
const peer = fc.record({ peerId: fc.string(), addresses: fc.array(fc.string(), { maxLength: 3 }), pushKey: key })
const receipt = fc.record({ statement: fc.uint8Array({ maxLength: 40 }), signature: fc.uint8Array({ maxLength: 64 }) })
const pushes = fc.record({ used: u32, late: u32, ignored: u32, mismatched: u32 })
const nanoseconds = fc.integer({ min: 0, max: 2 ** 52 })
const stamps = fc.record({
  clockId: fc.uint8Array({ minLength: 8, maxLength: 8 }),
  pushReceived: nanoseconds,
  copyReceived: nanoseconds,
  computeStart: nanoseconds,
  computeEnd: nanoseconds,
  pushQueued: nanoseconds,
  outputQueued: nanoseconds,
  requested: nanoseconds
})
const fragment = fc.option(fc.record({ tensor: u32, offset: u32, total: u32, length: u32 }))
const tagged = <K extends string, T>(kind: K, value: fc.Arbitrary<T>): fc.Arbitrary<{ kind: K; value: T }> =>
  value.map(content => ({ kind, value: content }))

const ownerMessage = fc.oneof(
  tagged(
    'step',
    fc.record({
      epoch: u32,
      step: u32,
      position: u32,
      n: u32,
      want: fc.nat(2),
      replay: fc.boolean(),
      next: fc.option(peer),
      nextNone: fc.boolean()
    })
  ),
  tagged('verify', fc.record({ epoch: u32, step: u32, digest })),
  tagged(
    'rewind',
    fc.record({
      epoch: u32,
      length: u32,
      upstream: fc.string(),
      upstreamNone: fc.boolean(),
      next: fc.option(peer),
      nextNone: fc.boolean(),
      upstreamIncarnation: key
    })
  ),
  tagged('close', fc.constant({}))
)
const serverMessage = fc.oneof(
  tagged(
    'opened',
    fc.record({
      incarnation: key,
      pushKey: key,
      lengths,
      credit: fc.record({ steps: u32, bytes: u32 }),
      maxTentative: u32
    })
  ),
  tagged(
    'output',
    fc.record({
      epoch: u32,
      step: u32,
      position: u32,
      n: u32,
      inputDigest: digest,
      outputDigest: digest,
      lengths,
      pushed: fc.oneof(key, fc.constant(new Uint8Array())),
      notPushed: fc.nat(6),
      receipts: fc.array(receipt, { maxLength: 2 }),
      stamps,
      replay: fc.boolean(),
      usedPush: fc.boolean(),
      pushes,
      downstream: fc.array(stamps, { maxLength: 2 })
    })
  ),
  tagged('needCopy', fc.record({ epoch: u32, step: u32 })),
  tagged(
    'terminated',
    fc.record({ reason: fc.string(), resumable: fc.boolean(), lengths: fc.option(lengths), pushes: fc.option(pushes) })
  )
)

/** Byte fields come back as Buffers, messages as instances: only the content is compared. */
const content = (value: unknown): unknown => {
  if (value instanceof Uint8Array) return [...value]
  if (Array.isArray(value)) return value.map(content)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, content(field)]))
}

describe('frames', () => {
  test("of owners come back as they were sent, zeros and empty fields as the frame's own", () => {
    fc.assert(
      fc.property(ownerMessage, fragment, (message, piece) => {
        const decoded = ownerFrames.decode(ownerFrames.encode(message, piece))
        expect(content(decoded)).toEqual(content({ message, fragment: piece }))
      })
    )
  })

  test('of servers come back as they were sent', () => {
    fc.assert(
      fc.property(serverMessage, fragment, (message, piece) => {
        const decoded = serverFrames.decode(serverFrames.encode(message, piece))
        expect(content(decoded)).toEqual(content({ message, fragment: piece }))
      })
    )
  })

  test('with fields left out have the defaults as properties of their own, so that a spread keeps them', () => {
    const { message } = ownerFrames.decode(ownerFrames.encode({ kind: 'step', value: {} }, null))
    const { message: pushed } = pushFrames.decode(pushFrames.encode({ kind: 'attach', value: {} }, null))
    const { message: attached } = attachFrames.decode(attachFrames.encode({ kind: 'attached', value: {} }, null))
    expect({ ...message?.value }).toEqual({
      epoch: 0,
      step: 0,
      position: 0,
      n: 0,
      want: 0,
      replay: false,
      next: null,
      nextNone: false
    })
    expect(content({ ...pushed?.value })).toEqual({ pushKey: [], modelDigest: [], boundary: 0, restart: false })
    expect(content({ ...attached?.value })).toEqual({ pushKey: [], steps: 0, bytes: 0 })
  })

  test('that hold no known message, or a fragment alone, say so', () => {
    const piece = { tensor: 1, offset: 2, total: 3, length: 1 }
    expect(content(ownerFrames.decode(ownerFrames.encode(null, piece)))).toEqual({ message: null, fragment: piece })
    expect(ownerFrames.decode(new Uint8Array())).toEqual({ message: null, fragment: null })
  })

  test.each<[string, () => unknown]>([
    [
      'an Opened without credit',
      () => serverFrames.decode(serverFrames.encode({ kind: 'opened', value: { lengths: {} } }, null))
    ],
    [
      'an Output without stamps',
      () => serverFrames.decode(serverFrames.encode({ kind: 'output', value: { lengths: {}, pushes: {} } }, null))
    ],
    ['a Rewound without lengths', () => serverFrames.decode(serverFrames.encode({ kind: 'rewound', value: {} }, null))],
    ['a Push without receipt', () => pushFrames.decode(pushFrames.encode({ kind: 'push', value: {} }, null))],
    [
      'a route with a hop to nobody',
      () =>
        ownerFrames.decode(ownerFrames.encode({ kind: 'open', value: { route: { hops: [{ from: 1, to: 2 }] } } }, null))
    ],
    [
      'a push key of the wrong length, however deep',
      () =>
        ownerFrames.decode(ownerFrames.encode({ kind: 'step', value: { next: { pushKey: new Uint8Array(15) } } }, null))
    ]
  ])('%s is refused', (_, decode) => {
    expect(decode).toThrow(expect.objectContaining({ code: 'FRAME_MALFORMED' }))
  })

  test('decoded later do not change what was decoded before', () => {
    const first = serverFrames.decode(
      serverFrames.encode({ kind: 'output', value: { receipts: [], lengths: {}, stamps: {}, pushes: {} } }, null)
    )
    const second = serverFrames.decode(
      serverFrames.encode({ kind: 'output', value: { receipts: [], lengths: {}, stamps: {}, pushes: {} } }, null)
    )
    if (first.message?.kind === 'output')
      first.message.value.receipts.push({ statement: new Uint8Array(), signature: new Uint8Array() })
    expect(second.message?.kind === 'output' && second.message.value.receipts).toEqual([])
  })
})

test('an Info comes back as it was sent', () => {
  const info = {
    version: '1',
    protocol: 'p',
    model: 'm',
    modelDigest: new Uint8Array(32).fill(1),
    modelBlocks: 12,
    from: 0,
    to: 4,
    hiddenSize: 128,
    maxLength: 512,
    maxSessions: 8,
    sessions: 0,
    device: 'cpu',
    weights: 'f32',
    codecs: [0],
    addresses: ['/ip4/127.0.0.1/tcp/1'],
    delegate: false,
    delegateBytes: 2 ** 40,
    delegateMemoryBytes: 2 ** 41,
    draining: true
  }
  expect(content(infoMessage.decode(infoMessage.encode(info)))).toEqual(content(info))
})
