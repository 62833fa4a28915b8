import { generateKeyPairSync, sign, verify } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import {
  checkProof,
  findEquivocation,
  NoProofError,
  type PortableProof,
  portableProof,
  type Receipt,
  signReceipt,
  type Statement,
  type VerifySignature
} from '../../src/wire/index.ts'

const keys = new Map(['liar', 'other'].map(name => [name, generateKeyPairSync('ed25519')]))
const verifySignature: VerifySignature = (peer, bytes, signature) => {
  const pair = keys.get(peer)
  return pair !== undefined && verify(null, bytes, pair.publicKey, signature)
}

function receipt(statement: Partial<Statement> = {}, signer = 'liar'): Receipt {
  const whole = {
    server: 'liar',
    owner: 'client',
    incarnation: new Uint8Array(16).fill(1),
    modelDigest: new Uint8Array(32).fill(2),
    from: 0,
    to: 4,
    epoch: 1,
    step: 2,
    position: 3,
    n: 1,
    inputDigest: new Uint8Array(32).fill(3),
    outputDigest: new Uint8Array(32).fill(4),
    ...statement
  }
  return signReceipt(whole, bytes => sign(null, bytes, keys.get(signer)!.privateKey))
}

const told = receipt()
const pushed = receipt({ outputDigest: new Uint8Array(32).fill(5) })
/** As it is read back from a file. */
const proof = (a = told, b = pushed): PortableProof =>
  JSON.parse(JSON.stringify(portableProof({ server: 'liar', epoch: 1, step: 2, receipts: [a, b] }))) as PortableProof

describe('a portable proof', () => {
  test('holds after a way through JSON, and says in what the two statements differ', () => {
    const found = findEquivocation(told, pushed, verifySignature)
    const document: unknown = JSON.parse(JSON.stringify(portableProof(found!)))
    const proven = checkProof(document, verifySignature)
    expect(proven).toMatchObject({ server: 'liar', epoch: 1, step: 2, differing: ['outputDigest'] })
    expect(document).toMatchObject({
      schema: 'andthen.proof/1',
      statements: [{ outputDigest: '04'.repeat(32) }, { outputDigest: '05'.repeat(32), to: 4 }]
    })
  })

  const { statements } = proof()
  test.each<[string, unknown, string]>([
    ['one receipt twice', proof(told, told), 'say the same'],
    ['two servers', proof(told, receipt({ server: 'other' }, 'other')), 'different servers'],
    ['two sessions', proof(told, receipt({ incarnation: new Uint8Array(16) })), 'different incarnations'],
    ['two epochs', proof(told, receipt({ epoch: 2 })), 'different epochs'],
    ['two steps', proof(told, receipt({ step: 3 })), 'different steps'],
    ['a first receipt that another signed', proof(receipt({ n: 7 }, 'other')), 'first receipt is not signed by liar'],
    ['a second receipt that another signed', proof(told, receipt({ n: 7 }, 'other')), 'second receipt is not signed'],
    ['the name of somebody else', { ...proof(), server: 'other' }, 'not what its receipts say'],
    ['another step beside the receipts', { ...proof(), step: 3 }, 'not what its receipts say'],
    [
      'a statement for people that was not signed',
      { ...proof(), statements: [{ ...statements[0], owner: 'somebody' }, statements[1]] },
      'not what its receipts say'
    ],
    ['a statement for people that is left out', { ...proof(), statements: [statements[0]] }, 'statements'],
    ['more than was signed', { ...proof(), statements: [{ ...statements[0], x: 1 }, statements[1]] }, 'not what its'],
    [
      'a receipt that is garbage',
      { ...proof(), receipts: [proof().receipts[0], { statement: '////////', signature: '' }] },
      'second receipt does not decode'
    ],
    ['another schema', { ...proof(), schema: 'andthen.proof/2' }, 'schema'],
    [
      'text that is not base64',
      { ...proof(), receipts: [proof().receipts[0], { statement: '%', signature: '' }] },
      'receipts.1.statement'
    ],
    ['no document at all', null, 'andthen.proof/1']
  ])('does not hold with %s', (_, document, message) => {
    expect(() => checkProof(document, verifySignature)).toThrow(NoProofError)
    expect(() => checkProof(document, verifySignature)).toThrow(message)
  })
})
