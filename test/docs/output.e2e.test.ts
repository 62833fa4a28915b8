import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ServerProcess } from '../../src/bench/index.ts'
import { program } from '../cli/program.ts'
import { addressesOf, patience, serveSpans, stopAll } from '../e2e/swarm.ts'

// docs/OUTPUT.md names every field that is printed, and none that is not.

const page = readFileSync(new URL('../../docs/OUTPUT.md', import.meta.url), 'utf8')

function documented(heading: string): string[] {
  const [, section = ''] = page.split(`\n## ${heading}\n`)
  const [text = ''] = section.split('\n## ')
  return [...text.matchAll(/^\| `([^`]+)` \|/gm)].map(([, field = '']) => field)
}

/** Distributions, and what the page describes in words instead of by field. */
const whole = new Set(['link.measured', 'error.details'])

/** `a.b` for `{a: {b}}`, `a[].b` for `{a: [{b}]}`. */
function fieldsOf(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) {
    const inner = value.filter(item => typeof item === 'object' && item !== null && !Array.isArray(item))
    return inner.length === 0 ? [path] : inner.flatMap(item => fieldsOf(item, `${path}[]`))
  }
  if (typeof value !== 'object' || value === null || 'p50' in value || whole.has(path)) return [path]
  return Object.entries(value).flatMap(([key, field]) => fieldsOf(field, path === '' ? key : `${path}.${key}`))
}

const printed = (...values: unknown[]): string[] => [...new Set(values.flatMap(value => fieldsOf(value)))].sort()

let servers: ServerProcess[] = []
let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'andthen-output-'))
  servers = await serveSpans(['0-6', '6-12'])
}, patience)
afterAll(async () => {
  await stopAll(servers)
  await rm(folder, { recursive: true, force: true })
})

async function generate(...args: string[]): Promise<unknown> {
  const { out } = await program('generate', ['--json', '--peers', addressesOf(servers).join(), ...args])
  return JSON.parse(out)
}

describe('generate', () => {
  it('--json and --trace', async () => {
    const trace = join(folder, 'trace')
    const result = await generate('--prompt', 'a', '--max-new-tokens', '3', '--trace', trace)
    expect(printed(result)).toEqual(documented('generate --json').sort())
    const lines = (await readFile(trace, 'utf8')).trim().split('\n')
    expect(printed(...lines.map(line => JSON.parse(line) as unknown))).toEqual(documented('generate --trace').sort())
  })

  it('--json that fails', async () => {
    const failure = await generate('--prompt', 'a', '--max-new-tokens', '5000')
    expect(printed(failure)).toEqual(documented('generate --json that fails').sort())
  })

  it('--dry-run --json', async () => {
    expect(printed(await generate('--dry-run'))).toEqual(documented('generate --dry-run --json').sort())
  })
})

describe('serve', () => {
  it('--log-format json', () => {
    expect(printed(servers[0]?.ready)).toEqual(documented('serve --log-format json').sort())
  })

  it('--dry-run', async () => {
    const { out } = await program('serve', ['--blocks', 'all', '--dry-run'])
    expect(printed(JSON.parse(out))).toEqual(documented('serve --dry-run').sort())
  })
})

it('doctor --json', async () => {
  const { out } = await program('doctor', ['--json'])
  expect(printed(JSON.parse(out))).toEqual(documented('doctor --json').sort())
})

it('bench --json', { timeout: patience }, async () => {
  const small = ['--servers', '1', '--prompt-tokens', '3', '--tokens', '3', '--runs', '1', '--warmup', '0', '--json']
  const load = ['load', '--requests', '1', ...small]
  const [closed, open, routes] = [
    await program('bench', [...load, '--concurrency', '1']),
    await program('bench', [...load, '--request-rate', '10']),
    await program('bench', ['routes', '--routes', 'relay', '--verify', 'auto', '--delay', '1ms', ...small])
  ].map(({ out }) => JSON.parse(out) as { criteria: object[] })
  // Whether a promise is judged depends on the machine.
  const criterion = documented('bench --json').filter(field => field.startsWith('criteria[]'))
  const fields = printed(closed, open, routes).filter(field => !field.startsWith('criteria'))
  expect([...fields, ...criterion].sort()).toEqual(documented('bench --json').sort())
})
