import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { platform, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { makeFolder } from '../../src/base/index.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'andthen-folders-'))
  await writeFile(join(folder, 'file'), '')
})
afterAll(() => rm(folder, { recursive: true }))

it('makes all that lead to it, closed to others where asked, and takes what is there', async () => {
  const path = join(folder, 'a', 'b', 'c')
  await Promise.all([makeFolder(path, 0o700), makeFolder(path, 0o700)])
  await makeFolder(path)
  for (const made of [path, join(folder, 'a')]) {
    const { mode } = await stat(made)
    if (platform() !== 'win32') expect(mode & 0o777).toBe(0o700)
  }
})

it.each([
  ['a file is in its place', 'file', 'EEXIST'],
  ['a file is on the way', 'file/below/it', 'ENOTDIR'],
  ['its name is too long', 'a'.repeat(5000), 'ENAMETOOLONG']
])('says so where %s', async (_, path, code) => {
  await expect(makeFolder(join(folder, path))).rejects.toMatchObject({ code })
})

// Node's own `recursive` never comes back from there.
it.skipIf(platform() !== 'linux')('gives up where the file system has no folders to make', async () => {
  await expect(makeFolder('/proc/andthen/below')).rejects.toMatchObject({ code: 'ENOENT' })
})
