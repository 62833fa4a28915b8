import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { fileProblem, makeProblem } from '../../src/base/index.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'andthen-files-'))
  await writeFile(join(folder, 'file'), '')
})
afterAll(() => rm(folder, { recursive: true }))

const thrownBy = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => expect.unreachable('it should fail'),
    (thrown: unknown) => thrown
  )

it.each([
  ['that is not there', () => readFile(join(folder, 'none')), 'there is none'],
  ['that is a folder', () => readFile(folder), 'it is a folder'],
  ['below another file', () => readFile(join(folder, 'file', 'below')), 'a part of its path is a file, no folder'],
  ['with a name without end', () => readFile(join(folder, 'a'.repeat(5000))), 'its name is too long']
])('a file %s', async (_, use, problem) => expect(fileProblem(await thrownBy(use()))).toBe(problem))

it.each([
  ['where a file is', () => mkdir(join(folder, 'file'), { recursive: true }), 'a file is in its place'],
  ['below nothing', () => mkdir(join(folder, 'none', 'below')), 'it is not there and cannot be made']
])('a folder to be made %s', async (_, use, problem) => expect(makeProblem(await thrownBy(use()))).toBe(problem))

it('what has no words here keeps its own', () => {
  expect(fileProblem(new Error('the disk is on fire'))).toBe('the disk is on fire')
  expect(fileProblem('odd')).toBe('odd')
})
