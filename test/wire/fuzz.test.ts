import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AndthenError } from '../../src/base/index.ts'
import {
  attachFrames,
  checkProof,
  type FrameCodec,
  infoMessage,
  MessageReader,
  ownerFrames,
  pushFrames,
  readStatement,
  serverFrames,
  statementMessage,
  WireError
} from '../../src/wire/index.ts'

// Whatever bytes come: a decoder says what is wrong with them, or what they mean. It neither throws anything else nor
// asks for more memory than it may.

const MAX_TENSOR_BYTES = 1_000
const runs = { numRuns: 1_500 }

/** Protobuf's own grammar, filled at random: gets further in than noise does. */
const field = fc
  .tuple(fc.integer({ min: 0, max: 30 }), fc.constantFrom(0, 1, 2, 5, 3, 7), fc.uint8Array({ maxLength: 40 }))
  .map(([number, type, content]) => {
    const tag = Buffer.of((number << 3) | type)
    if (type === 2) return Buffer.concat([tag, Buffer.of(content.length), content])
    return Buffer.concat([tag, content.subarray(0, type === 1 ? 8 : type === 5 ? 4 : 3)])
  })
const message = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.array(field, { maxLength: 8 }).map(fields => Buffer.concat(fields))
)
const varint = (length: number): Buffer => {
  const bytes: number[] = []
  for (let left = length; ; left = Math.floor(left / 128)) {
    bytes.push((left % 128) + (left > 127 ? 128 : 0))
    if (left <= 127) return Buffer.from(bytes)
  }
}
/** With the length that fits, or any other. */
const framed = fc
  .tuple(message, fc.option(fc.oneof(fc.nat(300), fc.nat(2 ** 31), fc.constant(2 ** 40))))
  .map(([bytes, declared]) => Buffer.concat([varint(declared ?? bytes.length), bytes]))

function readAll(codec: FrameCodec<{ kind: string; value: unknown }>, chunks: readonly Uint8Array[]): void {
  const handler = {
    onMessage: (_: unknown, bytes: number) => {
      expect(bytes).toBeLessThanOrEqual(MAX_TENSOR_BYTES)
      return bytes === 0 ? null : new Uint8Array(bytes)
    },
    onTensor: () => undefined
  }
  const reader = new MessageReader({ codec, handler }, { maxTensorBytes: MAX_TENSOR_BYTES })
  for (const chunk of chunks) reader.push(chunk)
}

function onlyThrows(kind: new (...args: never[]) => Error, decode: () => unknown): void {
  try {
    decode()
  } catch (error) {
    expect(error).toBeInstanceOf(kind)
  }
}

describe('frames of', () => {
  it.each<[string, FrameCodec<never>]>([
    ['owners', ownerFrames as FrameCodec<never>],
    ['servers', serverFrames as FrameCodec<never>],
    ['pushes', pushFrames as FrameCodec<never>],
    ['attaches', attachFrames as FrameCodec<never>]
  ])('%s', (_, codec) => {
    fc.assert(
      fc.property(fc.array(fc.oneof(framed, message), { maxLength: 6 }), chunks => {
        onlyThrows(WireError, () => readAll(codec, chunks))
      }),
      runs
    )
  })
})

describe('single messages', () => {
  it.each<[string, (bytes: Uint8Array) => unknown]>([
    ['an Info', bytes => infoMessage.decode(bytes)],
    ['a Statement', bytes => statementMessage.decode(bytes)],
    ['a receipt', statement => readStatement({ statement, signature: new Uint8Array(64) })]
  ])('%s', (_, decode) => {
    fc.assert(
      fc.property(message, bytes => onlyThrows(WireError, () => decode(bytes))),
      runs
    )
  })

  it('a proof, as any JSON', () => {
    const receipt = fc.record({ statement: fc.base64String(), signature: fc.base64String() })
    const nearly = fc.record({
      schema: fc.constant('andthen.proof/1'),
      server: fc.string(),
      epoch: fc.nat(),
      step: fc.nat(),
      receipts: fc.tuple(receipt, receipt),
      statements: fc.tuple(fc.dictionary(fc.string(), fc.string()), fc.dictionary(fc.string(), fc.string()))
    })
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), nearly), document =>
        onlyThrows(AndthenError, () => checkProof(document, () => true))
      ),
      runs
    )
  })
})
