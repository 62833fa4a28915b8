import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { createIdentity, loadIdentity, verifySignature } from '../../src/network/index.ts'

const directory = await mkdtemp(join(tmpdir(), 'andthen-identity-'))
afterAll(() => rm(directory, { recursive: true }))

describe('loadIdentity', () => {
  it('creates the file for its owner only, and finds the same identity again', async () => {
    const file = join(directory, 'new', 'identity.key')
    const created = await loadIdentity(file)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect((await loadIdentity(file)).peerId).toBe(created.peerId)
  })

  it('gives all who create it at once the same identity, and leaves nothing beside it', async () => {
    const file = join(directory, 'race', 'identity.key')
    const identities = await Promise.all(Array.from({ length: 8 }, () => loadIdentity(file)))
    expect(new Set(identities.map(({ peerId }) => peerId)).size).toBe(1)
    expect(await readdir(join(directory, 'race'))).toEqual(['identity.key'])
  })

  it.each([0o640, 0o604, 0o666])('refuses a file of mode %o', async mode => {
    const file = join(directory, `mode-${mode}.key`)
    await loadIdentity(file)
    await chmod(file, mode)
    await expect(loadIdentity(file)).rejects.toMatchObject({ code: 'IDENTITY', details: { file } })
  })

  it.each(['', 'not a key', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'])(
    'refuses a file that holds %j',
    async text => {
      const file = join(directory, `bad-${text.length}.key`)
      await writeFile(file, text, { mode: 0o600 })
      await expect(loadIdentity(file)).rejects.toMatchObject({ code: 'IDENTITY' })
    }
  )
})

describe('verifySignature', () => {
  it('accepts what the peer signed, and nothing else', async () => {
    const [signer, other] = [await createIdentity(), await createIdentity()]
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.nat(), (bytes, at) => {
        const signature = signer.sign(bytes)
        expect(verifySignature(signer.peerId, bytes, signature)).toBe(true)
        expect(verifySignature(other.peerId, bytes, signature)).toBe(false)
        const changed = Uint8Array.from(bytes)
        changed[at % changed.length]! ^= 1
        expect(verifySignature(signer.peerId, changed, signature)).toBe(false)
        expect(verifySignature(signer.peerId, bytes, signature.subarray(1))).toBe(false)
      }),
      { numRuns: 30 }
    )
    expect(verifySignature('nobody', new Uint8Array(1), new Uint8Array(64))).toBe(false)
  })
})
