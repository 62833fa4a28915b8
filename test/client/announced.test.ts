import { describe, expect, test } from 'vitest'
import { announcedBy } from '../../src/client/announced.ts'
import { createIdentity } from '../../src/network/index.ts'

const { peerId } = await createIdentity()
const { peerId: other } = await createIdentity()

describe('what a server announces', () => {
  test.each<[string, string[], string[]]>([
    ['is given on where it is its own', [`/ip4/1.2.3.4/tcp/1/p2p/${peerId}`], [`/ip4/1.2.3.4/tcp/1/p2p/${peerId}`]],
    ['gets its peer id', ['/dns4/a.example/tcp/1'], [`/dns4/a.example/tcp/1/p2p/${peerId}`]],
    [
      'may lead through a relay',
      [`/ip4/1.2.3.4/tcp/1/p2p/${other}/p2p-circuit`],
      [`/ip4/1.2.3.4/tcp/1/p2p/${other}/p2p-circuit/p2p/${peerId}`]
    ],
    ['is left out where it leads to another', [`/ip4/1.2.3.4/tcp/1/p2p/${other}`], []],
    ['is left out where it is no address', ['', 'nonsense', '/ip4/1.2.3.4/udp/1', '/ip4/1.2.3.4/tcp/1/p2p/me'], []],
    ['is left out where it is too long', [`/dns4/${'a'.repeat(400)}/tcp/1`], []]
  ])('%s', (_, addresses, expected) => {
    expect(announcedBy(peerId, addresses)).toEqual(expected)
  })

  test('fits into a message to its neighbour, however much it is', () => {
    const addresses = Array.from({ length: 1000 }, (_, i) => `/dns4/${'a'.repeat(60)}/tcp/${i + 1}`)
    const own = announcedBy(peerId, addresses)
    expect(own).toHaveLength(8)
    expect(own.join('').length).toBeLessThan(4096)
  })
})
