import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createDigester } from '../../src/wire/index.ts'

const context = { modelDigest: new Uint8Array(32).fill(1), hiddenSize: 4 }
const states = { boundary: 4, position: 10, n: 2 }
const bytes = new Uint8Array(32).fill(9)

describe('the digest of hidden states', () => {
  test('is SHA-256 over what docs/PROTOCOL.md lists, in its order', () => {
    const u32 = (value: number): Buffer => {
      const field = Buffer.alloc(4)
      field.writeUInt32LE(value)
      return field
    }
    const expected = createHash('sha256')
      .update('andthen hidden states v1\n')
      .update(context.modelDigest)
      .update(u32(states.boundary))
      .update(Buffer.from([0, 0]))
      .update(u32(states.n))
      .update(u32(context.hiddenSize))
      .update(u32(states.position))
      .update(bytes)
      .digest('hex')
    expect(Buffer.from(createDigester(context)(states, bytes)).toString('hex')).toBe(expected)
  })

  test.each([
    ['model', createDigester({ ...context, modelDigest: new Uint8Array(32) }), states, bytes],
    ['hidden size', createDigester({ ...context, hiddenSize: 8 }), states, bytes],
    ['boundary', createDigester(context), { ...states, boundary: 5 }, bytes],
    ['position', createDigester(context), { ...states, position: 11 }, bytes],
    ['number of tokens', createDigester(context), { ...states, n: 1 }, bytes],
    ['bytes', createDigester(context), states, new Uint8Array(32)]
  ])('is another for another %s', (_, digest, other, content) => {
    expect(digest(other, content)).not.toEqual(createDigester(context)(states, bytes))
  })

  test('does not depend on what was digested before', () => {
    const digest = createDigester(context)
    const part = fc.record({ boundary: fc.nat(99), position: fc.nat(9999), n: fc.nat(99) })
    fc.assert(
      fc.property(fc.array(part, { maxLength: 5 }), fc.uint8Array({ maxLength: 64 }), (before, content) => {
        for (const other of before) digest(other, content)
        expect(digest(states, content)).toEqual(createDigester(context)(states, content))
      })
    )
  })
})
