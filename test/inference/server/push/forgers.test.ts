import { describe, expect, it } from 'vitest'
import { Forgers } from '../../../../src/inference/server/push/forgers.ts'
import type { Receipt } from '../../../../src/wire/index.ts'

const receiptOf = (signer: string): Receipt => ({ statement: new Uint8Array(4), signature: Buffer.from(signer) })
const forgers = (): Forgers =>
  new Forgers({ verify: (peer, _, signature) => Buffer.from(signature).toString() === peer })

describe('who forged', () => {
  it('is believed nothing unsigned any more; others are not looked at', () => {
    const known = forgers()
    expect([known.refuses('a', receiptOf('b')), known.refuses('b', receiptOf('a'))]).toEqual([false, false])
    expect(known.isSigned('a', receiptOf('b'))).toBe(false)
    expect([known.refuses('a', receiptOf('b')), known.refuses('a', receiptOf('a'))]).toEqual([true, false])
    expect(known.isSigned('b', receiptOf('b'))).toBe(true)
    expect(known.refuses('b', receiptOf('a'))).toBe(false)
  })

  it('is remembered before those who forged longer ago, of a thousand or so', () => {
    const known = forgers()
    for (const peer of ['first', 'again']) known.isSigned(peer, receiptOf('x'))
    for (let i = 0; i < 1023; i++) {
      known.isSigned(`peer ${i}`, receiptOf('x'))
      expect(known.refuses('again', receiptOf('x'))).toBe(true)
    }
    expect(known.refuses('first', receiptOf('x'))).toBe(false)
  })
})
