import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'

/** A node's Ed25519 key pair; its peer id is the public half. */
export interface Identity {
  readonly peerId: string
  /** The signature, 64 bytes, over `bytes`; about 50 us. */
  sign(bytes: Uint8Array): Uint8Array
}

// The private key is not a property, so that no log line or error can print it.
const keys = new WeakMap<Identity, PrivateKey>()

/** A fresh identity, kept in memory only. */
export async function createIdentity(): Promise<Identity> {
  return identityFromKey(generateKeyPairSync('ed25519').privateKey)
}

/** An identity from its private key as PKCS #8 PEM, what `openssl genpkey -algorithm ed25519` writes. */
export async function identityFromPem(pem: string): Promise<Identity> {
  return identityFromKey(createPrivateKey(pem))
}

/** A fresh private key as PKCS #8 PEM. */
export function generateIdentityPem(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

async function identityFromKey(key: KeyObject): Promise<Identity> {
  const { d } = key.export({ format: 'jwk' })
  if (key.asymmetricKeyType !== 'ed25519' || d === undefined) throw new TypeError('not an Ed25519 private key')
  const libp2pKey = await generateKeyPairFromSeed('Ed25519', Buffer.from(d, 'base64url'))
  const identity: Identity = {
    peerId: peerIdFromPrivateKey(libp2pKey).toString(),
    sign: bytes => sign(null, bytes, key)
  }
  keys.set(identity, libp2pKey)
  return identity
}

/** The private key in libp2p's form, for this room only. */
export function privateKeyOf(identity: Identity): PrivateKey {
  const key = keys.get(identity)
  if (key === undefined) throw new TypeError('an identity comes from createIdentity or loadIdentity')
  return key
}
