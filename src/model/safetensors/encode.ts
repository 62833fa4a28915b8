import type { StoredDtype } from '../types.ts'

/** Float32 values as a safetensors file holds them: little-endian, rounded to the nearest, ties to even. */
export function encodeFloats(values: Float32Array, dtype: StoredDtype): Uint8Array {
  switch (dtype) {
    case 'F32':
      return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
    case 'BF16':
      return encodeBits(values, bfloat16Bits)
    case 'F16':
      return encodeBits(values, float16Bits)
  }
}

function encodeBits(values: Float32Array, convert: (bits: number) => number): Uint8Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const out = new Uint16Array(bits.length)
  // Uint16Array.from with a mapping goes through an iterator: tens of times slower.
  for (let i = 0; i < bits.length; i++) out[i] = convert(bits[i] ?? 0)
  return new Uint8Array(out.buffer)
}

const quietNan = 0x7fff

function bfloat16Bits(bits: number): number {
  if ((bits & 0x7fff_ffff) > 0x7f80_0000) return quietNan
  const ties = (bits >>> 16) & 1
  return (bits + 0x7fff + ties) >>> 16
}

function float16Bits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000
  const magnitude = bits & 0x7fff_ffff
  if (magnitude > 0x7f80_0000) return quietNan
  const exponent = (magnitude >>> 23) - 112
  // Beyond 65504 by half a step or more is infinity, which the carry below gives for the rest.
  if (exponent >= 31) return sign | 0x7c00
  // Below half of the smallest subnormal is zero.
  if (exponent < -10) return sign
  const significand = exponent > 0 ? magnitude & 0x7f_ffff : (magnitude & 0x7f_ffff) | 0x80_0000
  const shift = exponent > 0 ? 13 : 14 - exponent
  const kept = significand >>> shift
  const rest = significand & ((1 << shift) - 1)
  const half = 1 << (shift - 1)
  const up = rest > half || (rest === half && (kept & 1) === 1) ? 1 : 0
  return sign | ((exponent > 0 ? exponent << 10 : 0) + kept + up)
}
