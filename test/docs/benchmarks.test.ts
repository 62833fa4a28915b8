import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { benchCommand } from '../../src/cli/bench.ts'

const page = readFileSync(new URL('../../docs/BENCHMARKS.md', import.meta.url), 'utf8')
const commands = [...page.matchAll(/```sh\nnode bin\/bench ([^\n]+)\n```\n\n```text\n/g)].map(([, line = '']) => line)

it.each(commands)('bench %s is a command', line => {
  expect(benchCommand.parse(line.split(' '), {}).options.name).toBe(line.split(' ')[0])
})

it('every benchmark has its table', () => {
  expect(new Set(commands.map(line => line.split(' ')[0]))).toEqual(
    new Set(['routes', 'chain', 'load', 'flood', 'span', 'sessions'])
  )
})
