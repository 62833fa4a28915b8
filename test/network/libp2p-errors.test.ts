import { expect, test } from 'vitest'
import { dialError } from '../../src/network/libp2p-errors.ts'

const failedWith = (code: string): Error => Object.assign(new Error(`connect ${code}`), { code })

test.each(['ENETUNREACH', 'EHOSTUNREACH'])('%s is no way to the peer, which may be there another time', code => {
  expect(dialError('peer', [], failedWith(code))).toMatchObject({
    code: 'PEER_UNREACHABLE',
    retryable: true,
    details: { reason: 'no-route' }
  })
})

test.each([
  { other: 'ETIMEDOUT', reason: 'timeout' },
  { other: 'ECONNREFUSED', reason: 'refused' },
  { other: 'ENOTFOUND', reason: 'no-route' }
])(
  'of several addresses the one that got furthest tells most: $other beside no way is $reason',
  ({ other, reason }) => {
    const both = new AggregateError([failedWith('ENETUNREACH'), failedWith(other)])
    expect(dialError('peer', [], both)).toMatchObject({ details: { reason } })
  }
)
