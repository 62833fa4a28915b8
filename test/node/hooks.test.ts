import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { loadHooks } from '../../src/node/hooks.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'andthen-hooks-'))
})
afterAll(() => rm(folder, { recursive: true }))

let files = 0
async function moduleOf(source: string, ending = 'mjs'): Promise<string> {
  const file = join(folder, `${files++}.${ending}`)
  await writeFile(file, source)
  return file
}

it.each([
  ['both', 'export function onStart() {}; export async function onEvict() {}', 'mjs', ['onStart', 'onEvict']],
  ['one', 'export const onEvict = () => undefined; export const other = 1', 'mjs', ['onEvict']],
  ['a CommonJS module', 'exports.onStart = () => undefined', 'cjs', ['onStart']]
])('takes %s', async (_, source, ending, names) => {
  expect(Object.keys(await loadHooks(await moduleOf(source, ending)))).toEqual(names)
})

it.each([
  ['a module that throws', 'throw new Error("no database")', /does not load: no database/],
  ['what is no JavaScript', 'export {{', /does not load/],
  ['a module with nothing of use', 'export default { onStart() {} }', /exports neither onStart nor onEvict/],
  ['a hook that is no function', 'export const onStart = 5', /exports onStart, which is not a function/]
])('refuses %s', async (_, source, message) => {
  const file = await moduleOf(source)
  await expect(loadHooks(file)).rejects.toMatchObject({
    code: 'HOOKS',
    message: expect.stringMatching(message),
    details: { file }
  })
})
