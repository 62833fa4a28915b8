import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  MAX_FRAGMENT_BYTES,
  MAX_HEADER_BYTES,
  MessageReader,
  MessageWriter,
  type OwnerMessage,
  ownerFrames,
  prefixed,
  WireError
} from '../../src/wire/index.ts'

interface Received {
  message: OwnerMessage
  tensor: Uint8Array | null
}

/** Takes what a writer wrote; asks for a pause after every so many sends, as a full socket would. */
class Pipe {
  readonly chunks: Uint8Array[] = []
  readonly #pauses: Iterator<boolean>
  constructor(pauses: Iterator<boolean>) {
    this.#pauses = pauses
  }
  send(parts: Uint8Array[]): boolean {
    this.chunks.push(...parts)
    return this.#pauses.next().value !== true
  }
  get bytes(): Uint8Array {
    return Buffer.concat(this.chunks)
  }
}

function reading(maxTensorBytes = 1 << 20): { reader: MessageReader<OwnerMessage>; received: Received[] } {
  const received: Received[] = []
  const reader = new MessageReader<OwnerMessage>(
    {
      codec: ownerFrames,
      handler: {
        onMessage(message, bytes) {
          if (bytes > 0) return new Uint8Array(bytes)
          received.push({ message, tensor: null })
          return null
        },
        onTensor: (message, tensor) => void received.push({ message, tensor })
      }
    },
    { maxTensorBytes }
  )
  return { reader, received }
}

function readAll(bytes: Uint8Array, cuts: readonly number[] = []): Received[] {
  const { reader, received } = reading()
  let at = 0
  for (const cut of [...new Set(cuts.map(cut => cut % (bytes.length + 1)))].sort((a, b) => a - b)) {
    reader.push(bytes.subarray(at, cut))
    at = cut
  }
  reader.push(bytes.subarray(at))
  return received
}

const step = (n: number): { kind: 'step'; value: { step: number } } => ({ kind: 'step', value: { step: n } })
const never: Iterator<boolean> = fc.sample(fc.infiniteStream(fc.constant(false)), 1)[0]!

const sending = fc.oneof(
  fc.record({ kind: fc.constant('control' as const) }),
  fc.record({
    kind: fc.constant('tensor' as const),
    bytes: fc.constantFrom(1, 100, MAX_FRAGMENT_BYTES, MAX_FRAGMENT_BYTES + 1, 3 * MAX_FRAGMENT_BYTES - 5),
    key: fc.constantFrom('a', 'b')
  }),
  fc.record({ kind: fc.constant('drain' as const) })
)

describe('messages through a writer and a reader', () => {
  test('arrive whole, each once, however the stream pauses and is cut into chunks', () => {
    fc.assert(
      fc.property(
        fc.array(sending, { maxLength: 12 }),
        fc.infiniteStream(fc.boolean()),
        fc.array(fc.nat(1 << 20), { maxLength: 20 }),
        (sends, pauses, cuts) => {
          const pipe = new Pipe(pauses)
          const writer = new MessageWriter<OwnerMessage>({ codec: ownerFrames, sink: pipe })
          for (const [i, send] of sends.entries()) {
            if (send.kind === 'drain') writer.drained()
            else if (send.kind === 'control') writer.send({ kind: 'verify', value: { step: i } })
            else
              writer.sendTensor(step(i), new Uint8Array(send.bytes).fill(i + 1), {
                key: send.key
              })
          }
          while (writer.queuedBytes > 0) writer.drained()
          const received = readAll(pipe.bytes, cuts)
          const of = (kind: 'verify' | 'step'): number[] =>
            received.flatMap(({ message }) => (message.kind === kind ? [message.value.step] : []))
          const controls = sends.flatMap((send, i) => (send.kind === 'control' ? [i] : []))
          const tensors = sends.flatMap((send, i) => (send.kind === 'tensor' ? [i] : []))
          expect(of('verify'), 'messages without a tensor keep their order').toEqual(controls)
          expect(of('step').sort((a, b) => a - b)).toEqual(tensors)
          for (const { message, tensor } of received) {
            if (message.kind !== 'step') continue
            const send = sends[message.value.step]
            expect(tensor).toHaveLength(send?.kind === 'tensor' ? send.bytes : -1)
            expect(tensor?.every(byte => byte === message.value.step + 1)).toBe(true)
          }
        }
      ),
      { numRuns: 100 }
    )
  })

  test('of one class and key keep their order', () => {
    const pipe = new Pipe(fc.sample(fc.infiniteStream(fc.constant(true)), 1)[0]!)
    const writer = new MessageWriter<OwnerMessage>({ codec: ownerFrames, sink: pipe })
    for (let i = 0; i < 8; i++) writer.sendTensor(step(i), new Uint8Array(i % 2 === 0 ? 10 : MAX_FRAGMENT_BYTES + 10))
    while (writer.queuedBytes > 0) writer.drained()
    const steps = readAll(pipe.bytes).flatMap(({ message }) => (message.kind === 'step' ? [message.value.step] : []))
    expect(steps.filter(i => i % 2 === 0)).toEqual([0, 2, 4, 6])
    expect(steps.filter(i => i % 2 === 1)).toEqual([1, 3, 5, 7])
  })

  test('without a tensor overtake one that is under way, and long tensors of two keys take turns', () => {
    const pauses = fc.sample(fc.infiniteStream(fc.constant(true)), 1)[0]!
    const pipe = new Pipe(pauses)
    const writer = new MessageWriter<OwnerMessage>({ codec: ownerFrames, sink: pipe })
    writer.sendTensor(step(1), new Uint8Array(4 * MAX_FRAGMENT_BYTES), { key: 'a' })
    writer.sendTensor(step(2), new Uint8Array(2 * MAX_FRAGMENT_BYTES), { key: 'b' })
    writer.drained()
    writer.drained()
    writer.send({ kind: 'close', value: {} })
    while (writer.queuedBytes > 0) writer.drained()
    const order = readAll(pipe.bytes).map(({ message }) =>
      message.kind === 'step' ? message.value.step : message.kind
    )
    expect(order, 'close comes first, and the shorter of two that take turns ends first').toEqual(['close', 2, 1])
  })

  test('that are stale when their turn comes are dropped', () => {
    const pipe = new Pipe(fc.sample(fc.infiniteStream(fc.constant(true)), 1)[0]!)
    const writer = new MessageWriter<OwnerMessage>({ codec: ownerFrames, sink: pipe })
    let stale = false
    for (const i of [1, 2, 3])
      writer.sendTensor(step(i), new Uint8Array(10), {
        stale: () => stale && i === 2
      })
    stale = true
    while (writer.queuedBytes > 0) writer.drained()
    const steps = readAll(pipe.bytes).map(({ message }) => message.kind === 'step' && message.value.step)
    expect(steps).toEqual([1, 3])
  })

  test('that wait when the stream is gone are dropped', () => {
    const writer = new MessageWriter<OwnerMessage>({ codec: ownerFrames, sink: { send: () => false } })
    for (const bytes of [10, 10, MAX_FRAGMENT_BYTES * 2]) writer.sendTensor(step(1), new Uint8Array(bytes))
    writer.clear()
    expect(writer.queuedBytes).toBe(0)
    writer.drained()
    expect(writer.queuedBytes).toBe(0)
  })

  test('are read past where nobody wants their tensor', () => {
    const pipe = new Pipe(never)
    const writer = new MessageWriter<OwnerMessage>({ codec: ownerFrames, sink: pipe })
    writer.sendTensor(step(1), new Uint8Array(3 * MAX_FRAGMENT_BYTES))
    writer.send({ kind: 'close', value: {} })
    const kinds: string[] = []
    const reader = new MessageReader<OwnerMessage>(
      {
        codec: ownerFrames,
        handler: {
          onMessage: message => {
            kinds.push(message.kind)
            return null
          },
          onTensor: () => expect.unreachable('nobody wanted the tensor')
        }
      },
      { maxTensorBytes: 1 << 20 }
    )
    reader.push(pipe.bytes)
    expect(kinds).toEqual(['step', 'close'])
  })
})

describe('what no writer writes', () => {
  const frame = (message: Parameters<typeof ownerFrames.encode>[0], fragment: object | null, payload = 0): Uint8Array =>
    Buffer.concat([
      prefixed(ownerFrames.encode(message, fragment as Parameters<typeof ownerFrames.encode>[1])),
      new Uint8Array(payload)
    ])
  const begin = frame(step(1), { tensor: 1, offset: 0, total: 100, length: 10 }, 10)

  test.each<[string, string, Uint8Array]>([
    ['a header longer than a header may be', 'FRAME_TOO_LARGE', Buffer.from([0xff, 0xff, 0x7f])],
    ['a length that never ends', 'FRAME_TOO_LARGE', Buffer.from([0x80, 0x80, 0x80, 0x80])],
    ['an empty header', 'FRAME_MALFORMED', Buffer.from([0])],
    ['a header that is no message', 'FRAME_MALFORMED', prefixed(new Uint8Array(20).fill(0xff))],
    [
      'a fragment larger than a fragment may be',
      'FRAME_TOO_LARGE',
      frame(step(1), { tensor: 1, offset: 0, total: 1 << 19, length: MAX_FRAGMENT_BYTES + 1 })
    ],
    [
      'a tensor larger than is taken here',
      'TENSOR_TOO_LARGE',
      frame(step(1), { tensor: 1, offset: 0, total: (1 << 20) + 1, length: 0 })
    ],
    [
      'a fragment of a tensor that was never begun',
      'FRAGMENT_OUT_OF_ORDER',
      frame(null, { tensor: 9, offset: 0, total: 100, length: 10 }, 10)
    ],
    [
      'a gap in a tensor',
      'FRAGMENT_OUT_OF_ORDER',
      Buffer.concat([begin, frame(null, { tensor: 1, offset: 20, total: 100, length: 10 }, 10)])
    ],
    [
      'a tensor that changes its length',
      'FRAGMENT_OUT_OF_ORDER',
      Buffer.concat([begin, frame(null, { tensor: 1, offset: 10, total: 90, length: 10 }, 10)])
    ],
    [
      'a fragment that goes beyond its tensor',
      'FRAGMENT_OUT_OF_ORDER',
      Buffer.concat([begin, frame(null, { tensor: 1, offset: 10, total: 100, length: 91 }, 91)])
    ],
    ['a tensor begun twice', 'FRAGMENT_OUT_OF_ORDER', Buffer.concat([begin, begin])],
    [
      'bytes of a tensor that has none',
      'FRAGMENT_OUT_OF_ORDER',
      frame(step(1), { tensor: 1, offset: 0, total: 0, length: 5 }, 5)
    ],
    [
      'more tensors at once than are taken',
      'FRAGMENT_OUT_OF_ORDER',
      Buffer.concat(
        Array.from({ length: 65 }, (_, i) => frame(step(1), { tensor: i + 1, offset: 0, total: 100, length: 0 }))
      )
    ],
    [
      'a digest of the wrong length',
      'FRAME_MALFORMED',
      frame({ kind: 'verify', value: { step: 1, digest: new Uint8Array(31) } }, null)
    ]
  ])('%s is refused', (_, code, bytes) => {
    const { reader } = reading()
    expect(() => reader.push(bytes)).toThrow(expect.objectContaining({ name: 'WireError', code }))
  })

  test('a header that is too long is never sent', () => {
    expect(() => prefixed(new Uint8Array(MAX_HEADER_BYTES + 1))).toThrow(WireError)
    expect(prefixed(new Uint8Array(MAX_HEADER_BYTES))).toHaveLength(MAX_HEADER_BYTES + 3)
  })

  test('garbage is a WireError or nothing, and takes no more memory than one tensor may', () => {
    const start = Buffer.from(begin)
    const garbage = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      // Nearly right: a frame with some bytes changed.
      fc.array(fc.tuple(fc.nat(start.length - 1), fc.nat(255)), { minLength: 1, maxLength: 5 }).map(changes => {
        const bytes = Buffer.from(start)
        for (const [at, byte] of changes) bytes[at] = byte
        return bytes
      })
    )
    fc.assert(
      fc.property(fc.array(garbage, { maxLength: 4 }), chunks => {
        let largest = 0
        const reader = new MessageReader<OwnerMessage>(
          {
            codec: ownerFrames,
            handler: {
              onMessage: (_, bytes) => {
                largest = Math.max(largest, bytes)
                return bytes === 0 ? null : new Uint8Array(bytes)
              },
              onTensor: () => undefined
            }
          },
          { maxTensorBytes: 1000 }
        )
        try {
          for (const chunk of chunks) reader.push(chunk)
        } catch (error) {
          expect(error).toBeInstanceOf(WireError)
        }
        expect(largest).toBeLessThanOrEqual(1000)
      }),
      { numRuns: 2000 }
    )
  })
})
