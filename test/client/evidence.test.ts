import { generateKeyPairSync, sign, verify } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { weigh } from '../../src/client/evidence.ts'
import type { Receipt, Statement, VerifySignature } from '../../src/wire/index.ts'
import { signReceipt } from '../../src/wire/index.ts'

const keys = new Map(['up', 'down'].map(name => [name, generateKeyPairSync('ed25519')]))
const verifySignature: VerifySignature = (peer, bytes, signature) => {
  const pair = keys.get(peer)
  return pair !== undefined && verify(null, bytes, pair.publicKey, signature)
}
const names = { upstream: 'up' }

function receipt(output: number, signer = 'up', server = 'up', said: Partial<Statement> = {}): Receipt {
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
    outputDigest: new Uint8Array(32).fill(output),
    ...said
  }
  return signReceipt(statement, bytes => sign(null, bytes, keys.get(signer)!.privateKey))
}
const garbage: Receipt = { statement: new Uint8Array(9).fill(0xff), signature: new Uint8Array(64) }

describe('two neighbours that disagree', () => {
  test('two receipts of the upstream server that differ prove that it lies', () => {
    const verdict = weigh({ told: receipt(1), pushed: receipt(2) }, names, verifySignature)
    expect(verdict).toMatchObject({ kind: 'proof', proof: { server: 'up', epoch: 1, step: 2 } })
  })

  test.each<[string, Receipt | null | undefined, Receipt | null, object]>([
    ['the same receipt twice', receipt(1), receipt(1), { kind: 'undecided' }],
    ['nothing said by the downstream server', receipt(1), null, { kind: 'undecided' }],
    ['nothing said by the upstream server yet', undefined, receipt(2), { kind: 'undecided' }],
    ['no receipt with the answer', null, receipt(2), { kind: 'fault', peerId: 'up' }],
    ['a receipt that another signed', receipt(1, 'down'), receipt(2), { kind: 'fault', peerId: 'up' }],
    ['a receipt in the name of another', receipt(1, 'down', 'down'), null, { kind: 'fault', peerId: 'up' }],
    ['a receipt that is garbage', garbage, null, { kind: 'fault', peerId: 'up' }],
    ['a push without receipt', receipt(1), null, { kind: 'undecided' }],
    ['a push whose receipt is forged', receipt(1), receipt(2, 'down'), { kind: 'undecided' }]
  ])('%s', (_, told, pushed, verdict) => {
    expect(weigh({ told, pushed }, names, verifySignature)).toMatchObject(verdict)
  })
})

describe('a server that signs another receipt for its answer than the one that would convict it', () => {
  const answer = { incarnation: new Uint8Array(16), epoch: 1, step: 2, outputDigest: new Uint8Array(32).fill(1) }
  const pushed = receipt(2)

  test('is at fault itself', () => {
    expect(weigh({ told: receipt(1), pushed, answer }, names, verifySignature)).toMatchObject({ kind: 'proof' })
    for (const said of [
      { incarnation: new Uint8Array(16).fill(1) },
      { epoch: 2 },
      { step: 3 },
      { outputDigest: new Uint8Array(32).fill(2) }
    ])
      expect(
        weigh({ told: receipt(1, 'up', 'up', said), pushed, answer }, names, verifySignature),
        `it says ${Object.keys(said).join()}`
      ).toMatchObject({ kind: 'fault', peerId: 'up' })
  })
})
