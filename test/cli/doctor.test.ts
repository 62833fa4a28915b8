import { expect, it } from 'vitest'
import { silentLogger, version } from '../../src/base/index.ts'
import { doctorCommand } from '../../src/cli/doctor.ts'
import { recordingTerminal } from './recording-terminal.ts'

async function doctor(argv: readonly string[], signal = new AbortController().signal) {
  const terminal = recordingTerminal()
  const world = { terminal, logger: silentLogger, environment: {}, signal }
  const status = await doctorCommand.prepare(argv, {}).run(world)
  return { status, out: terminal.written.out }
}

it('says the same as JSON as it does to people', async () => {
  const { status, out } = await doctor(['--json'])
  const { version: told, serves, findings } = JSON.parse(out) as Told
  expect({ status, told, serves }).toEqual({ status: 0, told: version, serves: true })
  expect(findings.filter(({ about }) => about === '')).toEqual([])
  // What they say of memory that is free may differ from one look to the next.
  const lines = (await doctor([])).out.trimEnd().split('\n')
  const marks = { ok: 'ok', note: '--', missing: 'MISSING' }
  const beginnings = findings.map(({ about, state }) => `${marks[state].padEnd(8)}${about.padEnd(19)} `)
  expect(lines.map((line, i) => line.slice(0, beginnings[i]?.length))).toEqual(beginnings)
})

interface Told {
  readonly version: string
  readonly serves: boolean
  readonly findings: readonly { about: string; state: 'ok' | 'note' | 'missing'; says: string }[]
}

it('says in JSON, too, that serving is not possible', async () => {
  const { status, out } = await doctor(['--json', '--model', 'src'])
  expect(status).toBe(1)
  expect(JSON.parse(out)).toMatchObject({ serves: false })
})

it('can be interrupted', async () => {
  const interrupt = new AbortController()
  const looking = doctor([], interrupt.signal)
  interrupt.abort()
  await expect(looking).rejects.toMatchObject({ code: 'CANCELLED' })
})
