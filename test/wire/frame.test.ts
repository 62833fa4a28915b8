import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Fragment,
  FrameDecoder,
  MAX_FRAGMENT_BYTES,
  MAX_HEADER_BYTES,
  type OwnerMessage,
  ownerFrames,
  prefixed
} from '../../src/wire/index.ts'

/** What a decoder makes of chunks: headers by kind, payload as bytes. */
function decode(chunks: readonly Uint8Array[]): { headers: string[]; payload: string } {
  const headers: string[] = []
  const payload: Uint8Array[] = []
  const decoder = new FrameDecoder<OwnerMessage>(ownerFrames, {
    onHeader: (message, fragment) => headers.push(`${message?.kind ?? 'fragment'} ${fragment?.length ?? 0}`),
    onPayload: piece => payload.push(piece.slice())
  })
  for (const chunk of chunks) decoder.push(chunk)
  return { headers, payload: Buffer.concat(payload).toString('hex') }
}

const fragment = (length: number): Fragment => ({ tensor: 1, offset: 0, total: length, length })
const step = (tensor: Uint8Array): Uint8Array[] => [
  prefixed(ownerFrames.encode({ kind: 'step', value: { epoch: 1, n: 1 } }, fragment(tensor.length))),
  tensor
]
const verify = prefixed(ownerFrames.encode({ kind: 'verify', value: { epoch: 1, digest: new Uint8Array(32) } }, null))

describe('a frame', () => {
  it('is read alike however the network cuts it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 5 }),
        fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }),
        (tensors, sizes) => {
          const bytes = Buffer.concat(tensors.flatMap(tensor => [...step(tensor), verify]))
          const chunks: Uint8Array[] = []
          for (let at = 0, i = 0; at < bytes.length; i++) {
            const size = sizes[i % sizes.length] ?? 1
            chunks.push(bytes.subarray(at, at + size))
            at += size
          }
          expect(decode(chunks)).toEqual({
            headers: tensors.flatMap(tensor => [`step ${tensor.length}`, 'verify 0']),
            payload: Buffer.concat(tensors).toString('hex')
          })
        }
      )
    )
  })

  const varint = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes)
  it.each([
    { what: 'a header of one byte more than may be', bytes: varint(0x81, 0x80, 0x04), code: 'FRAME_TOO_LARGE' },
    { what: 'a length of more than three bytes', bytes: varint(0x80, 0x80, 0x80), code: 'FRAME_TOO_LARGE' },
    { what: 'an empty header', bytes: varint(0), code: 'FRAME_MALFORMED' },
    { what: 'a header that is no protobuf', bytes: varint(2, 0x0a, 0x7f), code: 'FRAME_MALFORMED' },
    { what: 'a message that nobody knows', bytes: varint(2, 0x62, 0x00), code: 'FRAME_MALFORMED' },
    {
      what: 'a fragment of one byte more than may be',
      bytes: prefixed(ownerFrames.encode(null, fragment(MAX_FRAGMENT_BYTES + 1))),
      code: 'FRAME_TOO_LARGE'
    },
    {
      what: 'a digest of 31 bytes',
      bytes: prefixed(ownerFrames.encode({ kind: 'verify', value: { digest: new Uint8Array(31) } }, null)),
      code: 'FRAME_MALFORMED'
    }
  ])('of $what is refused as $code', ({ bytes, code }) => {
    expect(() => decode([bytes])).toThrow(expect.objectContaining({ code }))
  })

  it('may have a header and a payload of 65,536 bytes', () => {
    const largest = ownerFrames.encode(null, fragment(MAX_FRAGMENT_BYTES))
    expect(decode([prefixed(largest), new Uint8Array(MAX_FRAGMENT_BYTES)]).headers).toEqual(['fragment 65536'])
    expect([...prefixed(new Uint8Array(MAX_HEADER_BYTES)).subarray(0, 3)]).toEqual([0x80, 0x80, 0x04])
    expect(() => prefixed(new Uint8Array(MAX_HEADER_BYTES + 1))).toThrow(
      expect.objectContaining({ code: 'FRAME_TOO_LARGE' })
    )
  })
})
