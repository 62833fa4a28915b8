import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { NotAvailableError, UsageError } from '../../src/base/index.ts'
import { defaultModel, parseModel } from '../../src/cli/model-folder.ts'

let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'andthen-model-'))
  mkdirSync(join(folder, 'owner', 'name'), { recursive: true })
})
afterAll(() => rmSync(folder, { recursive: true }))

it('takes a folder, absolute or relative', () => {
  expect(parseModel(folder)).toBe(folder)
  expect(parseModel(relative(process.cwd(), folder))).toBe(folder)
})

it('takes an existing folder over a model of the hub by the same name', () => {
  const path = relative(process.cwd(), join(folder, 'owner', 'name'))
  expect(parseModel(path)).toBe(join(folder, 'owner', 'name'))
})

it('ships with a model', () => expect(parseModel(defaultModel)).toBe(defaultModel))

it.each(['openai/gpt', 'owner/name@main', 'owner/name@refs/pr/1', 'hf:models', 'hf:owner/name'])(
  'knows %s as a model of the hub',
  text => expect(() => parseModel(text)).toThrow(NotAvailableError)
)

it.each(['nothing', './owner/name', '../owner/name', '/owner/name', 'a/b/c', 'a'.repeat(5000), ''])(
  'says that "%s" is no folder',
  text => {
    expect(() => parseModel(text)).toThrow(UsageError)
  }
)
