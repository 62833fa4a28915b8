import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { goldens } from './e2e/model.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

it("the README's example runs as it stands, and says what the model says", () => {
  const examples = [...readme.matchAll(/^```js\n([^]*?)^```$/gm)].map(([, code]) => code)
  expect(examples).toHaveLength(1)
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-'], {
    cwd: root,
    input: examples[0],
    encoding: 'utf8'
  })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  const { text } = goldens[0]!
  const told = /^([^]*)\n(\d+) pushes used, (\d+) tokens committed\n$/.exec(stdout)
  expect(told, stdout).not.toBeNull()
  const [, said = '', used, committed] = told!
  expect(text).toContain(said)
  expect(said.length).toBeGreaterThan(100)
  expect(Number(used)).toBeGreaterThan(0)
  // All but the last token pass through the servers: 3 of the prompt, and 47 of 48 new ones.
  expect(Number(committed)).toBe(50)
})
