import { generateKeyPairSync, sign, verify } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import {
  findEquivocation,
  isSignedByServer,
  type Receipt,
  readStatement,
  type Statement,
  signReceipt,
  statementMessage,
  type VerifySignature
} from '../../src/wire/index.ts'

const keys = new Map(['alice', 'bob'].map(name => [name, generateKeyPairSync('ed25519')]))
const signAs =
  (name: string) =>
  (bytes: Uint8Array): Uint8Array =>
    sign(null, bytes, keys.get(name)!.privateKey)
const verifySignature: VerifySignature = (peer, bytes, signature) => {
  const pair = keys.get(peer)
  return pair !== undefined && signature.length === 64 && verify(null, bytes, pair.publicKey, signature)
}

const statement: Omit<Statement, 'version'> = {
  server: 'alice',
  owner: 'client',
  incarnation: new Uint8Array(16).fill(3),
  modelDigest: new Uint8Array(32).fill(4),
  from: 0,
  to: 4,
  epoch: 2,
  step: 7,
  position: 30,
  n: 1,
  inputDigest: new Uint8Array(32).fill(5),
  outputDigest: new Uint8Array(32).fill(6)
}
const receipt = (change: Partial<typeof statement> = {}, signer = 'alice'): Receipt =>
  signReceipt({ ...statement, ...change }, signAs(signer))
const other = { outputDigest: new Uint8Array(32).fill(9) }

describe('a receipt', () => {
  test('says what its server stated, and is valid by its signature alone', () => {
    const { inputDigest, outputDigest, incarnation, ...rest } = readStatement(receipt())
    expect(rest).toMatchObject({ server: 'alice', owner: 'client', epoch: 2, step: 7, position: 30, n: 1, version: 1 })
    expect([inputDigest, outputDigest, incarnation].map(bytes => [bytes.length, bytes[0]])).toEqual([
      [32, 5],
      [32, 6],
      [16, 3]
    ])
    expect(isSignedByServer(receipt(), verifySignature)).toBe(true)
  })

  test.each([
    ['signed by another', receipt({}, 'bob')],
    ['of a server that nobody knows', receipt({ server: 'carol' })],
    ['changed after it was signed', { ...receipt(), statement: receipt(other).statement }],
    ['with a signature that is cut short', { ...receipt(), signature: receipt().signature.subarray(1) }]
  ])('%s is not valid', (_, wrong) => {
    expect(isSignedByServer(wrong, verifySignature)).toBe(false)
  })

  test('is signed for this purpose only: the bare statement is not what is signed', () => {
    const { statement: bytes } = receipt()
    expect(isSignedByServer({ statement: bytes, signature: signAs('alice')(bytes) }, verifySignature)).toBe(false)
  })

  test('of another version, or that is no statement, is refused', () => {
    const later = statementMessage.encode({ ...statement, version: 2 })
    expect(() => readStatement({ statement: later, signature: new Uint8Array(64) })).toThrow(/version 2/)
    expect(() => readStatement({ statement: new Uint8Array(9).fill(0xff), signature: new Uint8Array() })).toThrow(
      expect.objectContaining({ code: 'FRAME_MALFORMED' })
    )
  })
})

describe('a proof of equivocation', () => {
  test('is two valid receipts of one step that differ', () => {
    const [a, b] = [receipt(), receipt(other)]
    expect(findEquivocation(a, b, verifySignature)).toEqual({ server: 'alice', epoch: 2, step: 7, receipts: [a, b] })
  })

  test.each([
    ['say the same', receipt(), receipt()],
    ['are of another step', receipt(), receipt({ ...other, step: 8 })],
    ['are of another epoch', receipt(), receipt({ ...other, epoch: 3 })],
    ['are of another incarnation', receipt(), receipt({ ...other, incarnation: new Uint8Array(16) })],
    ['are of two servers', receipt(), receipt({ ...other, server: 'bob' }, 'bob')],
    ['are not both signed by it', receipt(), receipt(other, 'bob')],
    ['are not both signed by it, the other way round', receipt(other, 'bob'), receipt()]
  ])('is none where the two %s', (_, a, b) => {
    expect(findEquivocation(a, b, verifySignature)).toBeNull()
  })
})
