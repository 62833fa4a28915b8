import { readFileSync } from 'node:fs'
import { beforeAll, expect, it } from 'vitest'
import { serve } from '../../src/node/index.ts'

const page = readFileSync(new URL('../../docs/OPERATIONS.md', import.meta.url), 'utf8')

let exposition = ''
beforeAll(async () => {
  const blocks = { from: 0, to: 1 }
  const node = await serve({ model: 'models/tiny-shakespeare', blocks, listen: ['/ip4/127.0.0.1/tcp/0'], threads: 1 })
  exposition = await (await fetch(`${node.info.admin}/metrics`)).text()
  await node.close()
})

const ownOnly = (names: Iterable<string>): string[] =>
  [...names].filter(name => !/^andthen_(process|nodejs)_/.test(name)).sort()
const exposed = (): Map<string, string> =>
  new Map([...exposition.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name = '', type = '']) => [name, type]))
const documented = new Map(
  [...page.matchAll(/^\| `(andthen_\w+)` \| (?:`(\w+)` )?\| [^|]+ \|$/gm)].map(([, name = '', label]) => [name, label])
)

it('every metric is documented, and every documented one is there', () => {
  expect(ownOnly(exposed().keys())).toEqual([...documented.keys()].sort())
})

it('what ends in _total is a counter, all else a gauge', () => {
  for (const name of ownOnly(exposed().keys()))
    expect([name, exposed().get(name)]).toEqual([name, name.endsWith('_total') ? 'counter' : 'gauge'])
})

it('labels are those that are documented', () => {
  for (const [, name = '', label] of exposition.matchAll(/^(andthen_\w+)\{(\w+)="/gm))
    if (documented.has(name)) expect([name, label]).toEqual([name, documented.get(name)])
})

it('the reasons why sessions end are all there from the start', () => {
  for (const reason of ['END', 'IDLE', 'DISCONNECT', 'CANCEL', 'SUPERSEDED', 'PRESSURE', 'DRAIN', 'ERROR', 'DEADLINE'])
    expect(exposition).toContain(`andthen_sessions_ended_total{reason="${reason}"} 0\n`)
})
