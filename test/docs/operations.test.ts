import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { benchCommand } from '../../src/cli/bench.ts'
import type { Runnable } from '../../src/cli/command.ts'
import { doctorCommand } from '../../src/cli/doctor.ts'
import { generateCommand } from '../../src/cli/generate.ts'
import { serveCommand } from '../../src/cli/serve.ts'
import { startCommand } from '../../src/cli/start.ts'
import { verifyProofCommand } from '../../src/cli/verify-proof.ts'

// docs/OPERATIONS.md describes every flag of every command, and speaks of none that is not there.

const page = readFileSync(new URL('../../docs/OPERATIONS.md', import.meta.url), 'utf8')

const commands: Readonly<Record<string, Runnable>> = {
  serve: serveCommand,
  generate: generateCommand,
  bench: benchCommand,
  start: startCommand,
  doctor: doctorCommand,
  'verify-proof': verifyProofCommand
}

/** What every program has. */
const plain = ['--help', '--version']

/** As `--help` shows them: `--blocks A-B`, `--json`. */
function flagsOf(command: Runnable): string[] {
  let help = ''
  try {
    command.prepare(['--help'], {})
  } catch (shown) {
    help = (shown as Error).message
  }
  const flags = [...help.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)(?: <([^>]+)>)?/gm)]
  return flags.map(([, flag = '', takes]) => (takes === undefined ? flag : `${flag} ${takes}`))
}

const [, table = ''] = page.split('\n## All flags\n')
const rows = [...table.matchAll(/^\| `(--[^`]+)` \| ([^|]+) \| (.+) \|$/gm)].map(
  ([, flag = '', of = '', text = '']) => ({
    flag: flag.replaceAll('\\|', '|'),
    of: of === 'all' ? Object.keys(commands) : of.split(', '),
    text
  })
)

describe.each(Object.entries(commands))('%s', (name, command) => {
  it('has each of its flags described once, and no other', () => {
    const described = rows.filter(({ of }) => of.includes(name)).map(({ flag }) => flag)
    expect(described.sort()).toEqual(
      flagsOf(command)
        .filter(flag => !plain.includes(flag))
        .sort()
    )
  })
})

it('the table is of commands that are there, and says something of each flag', () => {
  expect(rows.length).toBe(table.split('\n').filter(line => line.startsWith('| `')).length)
  for (const { flag, of, text } of rows) {
    expect(Object.keys(commands), flag).toEqual(expect.arrayContaining(of))
    expect(text.trim(), flag).not.toBe('')
  }
})

/** Of other programs that the text calls: pip, npm, systemctl, docker. */
const others = [
  ...['--upgrade', '--no-deps', '--ignore-requires-python', '--only-binary', '--python-version', '--target'],
  ...['--global', '--ignore-scripts', '--now', '--gpus']
]

it('the text speaks of no flag that is not there', () => {
  const known = new Set([
    ...Object.values(commands)
      .flatMap(flagsOf)
      .map(flag => flag.split(' ')[0]),
    ...plain
  ])
  const named = [...page.matchAll(/(?<![\w-])--[a-z][a-z-]*/g)].map(([flag]) => flag)
  const strangers = [...new Set(named)].filter(flag => !known.has(flag))
  expect(strangers.sort()).toEqual(others.sort())
})

it('a variable that the text names is a flag in the environment', () => {
  const flags = Object.values(commands).flatMap(flagsOf)
  const known = new Set(flags.map(flag => `ANDTHEN_${flag.slice(2).split(' ')[0]?.replaceAll('-', '_').toUpperCase()}`))
  const named = [...page.matchAll(/\bANDTHEN_[A-Z_]+/g)].map(([variable]) => variable)
  expect([...new Set(named)].filter(variable => !known.has(variable))).toEqual(['ANDTHEN_FLAG_NAME'])
})
