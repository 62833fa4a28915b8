import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NoiseFrames } from '../../src/network/noise-frames.ts'

const prefixed = (message: Uint8Array): Uint8Array =>
  Uint8Array.of(message.length >> 8, message.length & 0xff, ...message)

describe('noise messages in what a socket gave', () => {
  it('are the same however the bytes were cut, and none is empty', () => {
    const message = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.integer({ min: 0, max: 65_535 }).map(length => new Uint8Array(length).fill(length))
    )
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), fc.array(fc.nat(), { maxLength: 12 }), (messages, cuts) => {
        const bytes = Buffer.concat(messages.map(prefixed))
        const ends = [...cuts.map(cut => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)
        const frames = new NoiseFrames()
        let start = 0
        const taken = ends.flatMap(end => frames.take(bytes.subarray(start, (start = end))))
        const expected = messages.filter(({ length }) => length > 0)
        expect(taken.map(({ length }) => length)).toEqual(expected.map(({ length }) => length))
        expect(Buffer.concat(taken).equals(Buffer.concat(expected))).toBe(true)
        expect(frames.heldBytes).toBe(0)
      }),
      { numRuns: 200 }
    )
  })

  it('are views where they are whole within a chunk', () => {
    const chunk = Buffer.concat([prefixed(Uint8Array.of(1, 2, 3)), prefixed(Uint8Array.of(4))])
    const taken = new NoiseFrames().take(chunk)
    expect(taken.map(({ buffer, byteOffset }) => [buffer === chunk.buffer, byteOffset - chunk.byteOffset])).toEqual([
      [true, 2],
      [true, 7]
    ])
  })

  it('take no more memory than the longest message has, one byte at a time', () => {
    const frames = new NoiseFrames()
    frames.take(Uint8Array.of(0xff, 0xff))
    let taken = 0
    for (let i = 0; i < 65_534; i++) taken += frames.take(Uint8Array.of(i & 0xff)).length
    expect(taken).toBe(0)
    expect(frames.heldBytes).toBe(65_535)
    expect(frames.take(Uint8Array.of(7))).toHaveLength(1)
  })
})
