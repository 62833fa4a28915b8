import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { nodeIdentity } from '../../src/node/identity.ts'

const model = 'models/tiny-shakespeare'

it('a place that cannot hold the key is told with its flag', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'andthen-identity-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const file = join(folder, 'file')
  await writeFile(file, '')
  const listen = ['/ip4/127.0.0.1/tcp/31226']
  const problem = 'a part of its path is a file, no folder'
  await expect(nodeIdentity({ model, dataDir: file }, listen)).rejects.toMatchObject({
    code: 'IDENTITY',
    message: `identity file ${file}/identity-31226.key cannot be used: ${problem}; --data-dir names another place`
  })
  await expect(nodeIdentity({ model, identity: join(file, 'key') }, listen)).rejects.toMatchObject({
    code: 'IDENTITY',
    message: `identity file ${file}/key cannot be used: ${problem}; give another place`
  })
  await expect(nodeIdentity({ model, identity: folder }, listen)).rejects.toMatchObject({
    code: 'IDENTITY',
    message: expect.stringContaining(`${folder} is no file`)
  })
})
