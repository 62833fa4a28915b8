import { describe, expect, test } from 'vitest'
import { createRouteCheck } from '../../../src/inference/owner/index.ts'
import type { Output, Receipt, Statement } from '../../../src/wire/index.ts'
import { createIdentity, verifySignature } from '../../../src/network/index.ts'
import { signReceipt } from '../../../src/wire/index.ts'

const identities = await Promise.all([0, 1, 2].map(() => createIdentity()))
const spans = [
  { from: 0, to: 4 },
  { from: 4, to: 8 },
  { from: 8, to: 12 }
]
const servers = identities.map(({ peerId }, i) => ({ peerId, ...spans[i]! }))
const bytes = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value)
const modelDigest = bytes(32, 1)
const expected = { modelDigest, owner: 'client', incarnation: bytes(16, 10), servers }

type Changes = Partial<Record<number, Partial<Statement>>>

/** A step as the client numbers it; the servers behind the first count epochs and steps from elsewhere. */
function outputOf(epoch: number, step: number, changes: Changes = {}, signers = identities): Output {
  const receipts: Receipt[] = servers.map((server, i) =>
    signReceipt(
      {
        server: server.peerId,
        owner: i === 0 ? 'client' : servers[0]!.peerId,
        incarnation: bytes(16, 10 + i),
        modelDigest,
        from: server.from,
        to: server.to,
        epoch: i === 0 ? epoch : epoch + 5,
        step: i === 0 ? step : step + 100,
        position: step,
        n: 1,
        inputDigest: bytes(32, 50 + i),
        outputDigest: bytes(32, 51 + i),
        ...changes[i]
      },
      signed => signers[i]!.sign(signed)
    )
  )
  const output: Partial<Output> = {
    epoch,
    step,
    position: step,
    n: 1,
    inputDigest: bytes(32, 50),
    outputDigest: bytes(32, 53),
    receipts
  }
  return output as Output
}

const check = () => createRouteCheck(expected, verifySignature)

describe('receipts of a route', () => {
  test('that go on from step to step, and from epoch to epoch, are right', () => {
    const checked = check()
    for (const output of [outputOf(1, 0), outputOf(1, 1), outputOf(1, 3), outputOf(2, 0)])
      expect(checked(output)).toBeNull()
  })

  test.each<[string, Changes]>([
    ['of another server', { 1: { server: servers[0]!.peerId } }],
    ['for another owner', { 1: { owner: 'client' } }],
    ['of other blocks', { 2: { from: 9 } }],
    ['of another position', { 1: { position: 9 } }],
    ['of another number of tokens', { 1: { n: 2 } }],
    ['of another model', { 2: { modelDigest: bytes(32, 9) } }],
    ['of another input than was computed before', { 2: { inputDigest: bytes(32, 9) } }],
    ['of another epoch than the answer', { 0: { epoch: 2 } }],
    ['of another step than the answer', { 0: { step: 8 } }],
    ['of another session than the answer', { 0: { incarnation: bytes(16, 9) } }]
  ])('%s do not fit', (_, changes) => {
    expect(check()(outputOf(1, 0, changes))).toMatch(/does not fit into the route/)
  })

  test.each<[string, Changes]>([
    ['the step before', { 1: { step: 100 } }],
    ['an earlier epoch', { 2: { epoch: 5 } }],
    ['another session', { 1: { incarnation: bytes(16, 9) } }]
  ])('that show %s of a later server do not fit', (_, changes) => {
    const checked = check()
    expect(checked(outputOf(1, 0))).toBeNull()
    expect(checked(outputOf(1, 1, changes))).toMatch(/does not fit into the route/)
    expect(checked(outputOf(1, 1)), 'what was refused is not remembered').toBeNull()
  })

  test('are as many as servers, each signed by its own, and end in what was sent', () => {
    const output = outputOf(1, 0)
    expect(check()({ ...output, receipts: output.receipts.slice(1) })).toMatch(/2 receipts of a route of 3/)
    const [a, b, c] = identities as [(typeof identities)[0], (typeof identities)[0], (typeof identities)[0]]
    expect(check()(outputOf(1, 0, {}, [a, a, c]))).toBe(`sent a receipt that ${b.peerId} did not sign`)
    expect(check()({ ...output, outputDigest: bytes(32, 9) })).toMatch(/last server of the route did not sign/)
    const garbage = { statement: bytes(3, 255), signature: bytes(64, 0) }
    expect(check()({ ...output, receipts: [garbage, garbage, garbage] })).toMatch(/does not decode/)
  })
})
