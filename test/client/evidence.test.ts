import { generateKeyPairSync, sign, verify } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { weigh } from '../../src/client/evidence.ts'
import type { Mismatch, Output, Receipt, Statement, VerifySignature } from '../../src/wire/index.ts'
import { signReceipt } from '../../src/wire/index.ts'

const keys = new Map(['up', 'down'].map(name => [name, generateKeyPairSync('ed25519')]))
const verifySignature: VerifySignature = (peer, bytes, signature) => {
  const pair = keys.get(peer)
  return pair !== undefined && verify(null, bytes, pair.publicKey, signature)
}
const names = { upstream: 'up' }

function receipt(output: number, signer = 'up', server = 'up'): Receipt {
  const statement: Omit<Statement, 'version'> = {
    server,
    owner: 'client',
    incarnation: new Uint8Array(16),
    modelDigest: new Uint8Array(32),
    from: 0,
    to: 4,
    epoch: 1,
    step: 2,
    position: 3,
    n: 1,
    inputDigest: new Uint8Array(32),
    outputDigest: new Uint8Array(32).fill(output)
  }
  return signReceipt(statement, bytes => sign(null, bytes, keys.get(signer)!.privateKey))
}
const told = (...receipts: Receipt[]): Output => ({ receipts }) as unknown as Output
const shown = (upstreamReceipt: Receipt | null): Mismatch => ({ upstreamReceipt }) as unknown as Mismatch
const garbage: Receipt = { statement: new Uint8Array(9).fill(0xff), signature: new Uint8Array(64) }

describe('two neighbours that disagree', () => {
  test('two receipts of the upstream server that differ prove that it lies', () => {
    const verdict = weigh({ output: told(receipt(1)), mismatch: shown(receipt(2)) }, names, verifySignature)
    expect(verdict).toMatchObject({ kind: 'proof', proof: { server: 'up', epoch: 1, step: 2 } })
  })

  test.each<[string, Output | null, Mismatch | null, object]>([
    ['the same receipt twice', told(receipt(1)), shown(receipt(1)), { kind: 'undecided' }],
    ['nothing said by the downstream server', told(receipt(1)), null, { kind: 'undecided' }],
    ['nothing said by the upstream server yet', null, shown(receipt(2)), { kind: 'undecided' }],
    ['no receipt with the answer', told(), shown(receipt(2)), { kind: 'fault', peerId: 'up' }],
    ['a receipt that another signed', told(receipt(1, 'down')), shown(receipt(2)), { kind: 'fault', peerId: 'up' }],
    ['a receipt in the name of another', told(receipt(1, 'down', 'down')), null, { kind: 'fault', peerId: 'up' }],
    ['a receipt that is garbage', told(garbage), null, { kind: 'fault', peerId: 'up' }],
    ['a push without receipt', told(receipt(1)), shown(null), { kind: 'undecided' }],
    ['a push whose receipt is forged', told(receipt(1)), shown(receipt(2, 'down')), { kind: 'undecided' }]
  ])('%s', (_, output, mismatch, verdict) => {
    expect(weigh({ output, mismatch }, names, verifySignature)).toMatchObject(verdict)
  })
})
