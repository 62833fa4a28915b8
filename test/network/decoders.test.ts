import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { createIdentity, loadSwarmKey, parseDialAddress, verifySignature } from '../../src/network/index.ts'
import { AccessList } from '../../src/network/access-list.ts'
import { identityFromPem } from '../../src/network/identity.ts'
import { parseTarget } from '../../src/network/peer-target.ts'
import { SharedHosts } from '../../src/network/shared-hosts.ts'

const folder = await mkdtemp(join(tmpdir(), 'andthen-decoders-'))
afterAll(() => rm(folder, { recursive: true }))

const { peerId } = await createIdentity()
const usage = expect.objectContaining({ code: 'USAGE' })

/** Made of the parts that addresses are made of, in any order. */
const nearlyAddress = fc
  .array(
    fc.constantFrom(
      ...[
        '/ip4',
        '/ip6',
        '/dns4',
        '/tcp',
        '/p2p',
        '/p2p-circuit',
        '/127.0.0.1',
        '/::1',
        '/1',
        `/${peerId}`,
        '/',
        '/ws',
        '//'
      ]
    ),
    { maxLength: 9 }
  )
  .map(parts => parts.join(''))
const text = fc.oneof(fc.string({ maxLength: 60 }), nearlyAddress)

function onlyUsage(parse: () => unknown): void {
  try {
    parse()
  } catch (error) {
    expect(error).toEqual(usage)
  }
}

describe('what people and peers write is understood, or refused as what it is:', () => {
  it.each<[string, (text: string) => unknown]>([
    ['addresses', parseDialAddress],
    ['targets', parseTarget],
    ['several addresses of one peer', one => parseTarget([one, `/ip4/1.2.3.4/tcp/1/p2p/${peerId}`])],
    ['entries of access lists', one => new AccessList({ deny: [one] })],
    ['hosts that are shared', one => new SharedHosts([one])]
  ])('%s', (_, parse) => {
    fc.assert(
      fc.property(text, one => onlyUsage(() => parse(one))),
      { numRuns: 2_000 }
    )
  })

  it('what is understood as an address is understood again as it was', () => {
    fc.assert(
      fc.property(nearlyAddress, one => {
        let address: string
        try {
          address = parseDialAddress(one).address
        } catch {
          return
        }
        expect(parseDialAddress(address).address).toBe(address)
      }),
      { numRuns: 2_000 }
    )
  })

  it('swarm keys', async () => {
    const file = join(folder, 'swarm.key')
    const lines = fc.array(fc.constantFrom('/key/swarm/psk/1.0.0/', '/base16/', 'a'.repeat(64), '', ' '), {
      maxLength: 5
    })
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string(),
          lines.map(some => some.join('\n'))
        ),
        async content => {
          await writeFile(file, content)
          await loadSwarmKey(file).catch((error: unknown) => expect(error).toEqual(usage))
        }
      ),
      { numRuns: 200 }
    )
  })

  it('keys and signatures of nobody', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string(), fc.uint8Array({ maxLength: 80 }), async (one, bytes) => {
        await expect(identityFromPem(one)).rejects.toBeInstanceOf(Error)
        expect(verifySignature(one, bytes, bytes)).toBe(false)
        expect(verifySignature(peerId, bytes, bytes)).toBe(false)
      }),
      { numRuns: 300 }
    )
  })
})
