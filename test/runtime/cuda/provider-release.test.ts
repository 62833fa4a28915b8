import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { otherRelease } from '../../../src/runtime/cuda/provider-release.ts'

const MiB = 2 ** 20
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'andthen-release-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** A library of so many bytes of code, with text in it. */
async function library(bytes: number, at: number, text: string): Promise<string> {
  const file = join(folder, 'library')
  const content = Buffer.alloc(bytes, 0xcc)
  content.write(text, at, 'latin1')
  await writeFile(file, content)
  return file
}

// Files are read in pieces of 4 MiB.
test.each([0, 100, 4 * MiB - 7, 4 * MiB - 4, 4 * MiB - 1, 4 * MiB, 4 * MiB + 56])(
  'the release of a library is found at byte %d of it, and is another one or not',
  async at => {
    const file = await library(4 * MiB + 64, at, '\x001.27.0\0')
    expect(await otherRelease(file, '1.30.0')).toBe('1.27.0')
    expect(await otherRelease(file, '1.27.0')).toBeNull()
  }
)

test.each(['', '1.27.0', '\x001.27.0', '\x001.27\0', '\x0013.27.0\0', '\x00v1.27.0\0'])(
  'a library that holds %j does not say its release',
  async text => {
    expect(await otherRelease(await library(1000, 100, text), '1.30.0')).toBeNull()
  }
)

test('a library that holds versions of others, too, is of the expected release if that is among them', async () => {
  const file = await library(1000, 100, '\x001.27.0\x001.30.0\x001.4.5\0')
  expect(await otherRelease(file, '1.30.0')).toBeNull()
})
