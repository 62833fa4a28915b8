import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeFloats } from '../../../src/model/safetensors/encode.ts'

function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >>> 10) & 31
  const fraction = bits & 1023
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

function brain(bits: number): number {
  return new Float32Array(Uint32Array.of(bits << 16).buffer)[0]!
}

const encode = (value: number, dtype: 'F16' | 'BF16') =>
  new Uint16Array(encodeFloats(Float32Array.of(value), dtype).slice().buffer)[0]!

describe.each([
  ['F16', half],
  ['BF16', brain]
] as const)('encodeFloats to %s', (dtype, decode) => {
  it('gives back every value that the type has', () => {
    const all = Array.from({ length: 2 ** 16 }, (_, bits) => bits).filter(bits => !Number.isNaN(decode(bits)))
    const encoded = new Uint16Array(encodeFloats(Float32Array.from(all, decode), dtype).buffer)
    expect(Array.from(encoded)).toEqual(all)
  })

  it('rounds to the nearest, ties to even', () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true }), value => {
        const bits = encode(value, dtype)
        const rounded = decode(bits)
        if (!Number.isFinite(rounded)) {
          expect(Math.abs(value)).toBeGreaterThanOrEqual(dtype === 'F16' ? 65520 : 3.39e38)
          return
        }
        for (const neighbour of [bits - 1, bits + 1]) {
          const other = decode(neighbour & 0xffff)
          if (!Number.isFinite(other)) continue
          const near = Math.abs(rounded - value)
          const far = Math.abs(other - value)
          expect(near < far || (near === far && bits % 2 === 0) || rounded === other).toBe(true)
        }
      }),
      { numRuns: 2000 }
    )
  })

  it('keeps what is not a number', () => {
    expect(decode(encode(NaN, dtype))).toBeNaN()
  })
})
