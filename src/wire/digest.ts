import { createHash } from 'node:crypto'
import { Codec } from './message-parts.ts'

/** What the hidden states of a session's digests have in common. */
export interface DigestContext {
  /** 32 bytes. */
  modelDigest: Uint8Array
  hiddenSize: number
}

/** Which hidden states: those that enter block `boundary`, of tokens `position` to `position + n - 1`. */
export interface HiddenStates {
  boundary: number
  position: number
  n: number
}

const DOMAIN = 'andthen hidden states v1\n'
/** Element type of the encoded bytes: float32, the only one so far. */
const DTYPE_F32 = 0

/**
 * SHA-256 over the domain, model digest, boundary, dtype, codec, n, hidden size, position (little-endian uint32, but
 * dtype and codec, which are one byte) and the encoded bytes.
 */
export type Digester = (states: HiddenStates, bytes: Uint8Array) => Uint8Array

export function createDigester(context: DigestContext): Digester {
  const preamble = Buffer.alloc(DOMAIN.length + 32 + 18)
  preamble.write(DOMAIN, 'latin1')
  preamble.set(context.modelDigest, DOMAIN.length)
  const fields = DOMAIN.length + 32
  preamble.writeUInt8(DTYPE_F32, fields + 4)
  preamble.writeUInt8(Codec.f32, fields + 5)
  preamble.writeUInt32LE(context.hiddenSize, fields + 10)
  return ({ boundary, position, n }, bytes) => {
    preamble.writeUInt32LE(boundary, fields)
    preamble.writeUInt32LE(n, fields + 6)
    preamble.writeUInt32LE(position, fields + 14)
    return createHash('sha256').update(preamble).update(bytes).digest()
  }
}

/** Lower-case hex of bytes, which are not copied. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
