import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { peerIdFromString } from '@libp2p/peer-id'

/** As many peers as a node talks to; a key object costs 20 us to make. */
const CACHED_KEYS = 1_024
const cache = new Map<string, KeyObject | undefined>()

/**
 * Whether `signature` is that of the peer's identity over `bytes` (Ed25519, about 150 us). An Ed25519 peer id is its
 * public key, so none is looked up; false for malformed ids and other kinds of key.
 */
export function verifySignature(peerId: string, bytes: Uint8Array, signature: Uint8Array): boolean {
  const key = publicKey(peerId)
  return key !== undefined && signature.byteLength === 64 && verify(null, bytes, key, signature)
}

function publicKey(peerId: string): KeyObject | undefined {
  if (cache.has(peerId)) return cache.get(peerId)
  const key = parsePublicKey(peerId)
  const oldest = cache.size < CACHED_KEYS ? undefined : cache.keys().next().value
  if (oldest !== undefined) cache.delete(oldest)
  cache.set(peerId, key)
  return key
}

function parsePublicKey(peerId: string): KeyObject | undefined {
  try {
    const parsed = peerIdFromString(peerId)
    if (parsed.type !== 'Ed25519') return undefined
    const x = Buffer.from(parsed.publicKey.raw).toString('base64url')
    return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  } catch {
    // Not a peer id: nobody's signature.
    return undefined
  }
}
