import { expect, it } from 'vitest'
import { createMetrics } from '../../src/gateway/index.ts'

const lines = async (metrics: ReturnType<typeof createMetrics>, name: string) =>
  (await metrics.exposition()).text.split('\n').filter(line => line.startsWith(name))

it('reads counters when scraped, and calls them so', async () => {
  const metrics = createMetrics()
  let idle = 3
  metrics.counter({ name: 'evictions_total', help: 'Sessions ended.', labels: ['reason'] }, () => [
    { labels: { reason: 'IDLE' }, value: idle },
    { labels: { reason: 'END' }, value: 1 }
  ])
  expect(await lines(metrics, 'andthen_evictions_total')).toEqual([
    'andthen_evictions_total{reason="IDLE"} 3',
    'andthen_evictions_total{reason="END"} 1'
  ])
  idle = 5
  expect(await lines(metrics, 'andthen_evictions_total{reason="IDLE"}')).toEqual([
    'andthen_evictions_total{reason="IDLE"} 5'
  ])
  expect((await metrics.exposition()).text).toContain('# TYPE andthen_evictions_total counter\n')
})

it('reads gauges when scraped, and forgets labels that are gone', async () => {
  const metrics = createMetrics()
  let states = [{ labels: { state: 'active' }, value: 2 }]
  metrics.gauge({ name: 'sessions', help: 'Sessions.', labels: ['state'] }, () => states)
  expect(await lines(metrics, 'andthen_sessions')).toEqual(['andthen_sessions{state="active"} 2'])
  states = [{ labels: { state: 'parked' }, value: 1 }]
  expect(await lines(metrics, 'andthen_sessions')).toEqual(['andthen_sessions{state="parked"} 1'])
})

it('keeps registries apart, so that one process can run several nodes', async () => {
  const [one, other] = [createMetrics(), createMetrics()]
  for (const [metrics, value] of [
    [one, 1],
    [other, 2]
  ] as const)
    metrics.counter({ name: 'tokens_total', help: 'Tokens.' }, () => [{ labels: {}, value }])
  expect(await lines(one, 'andthen_tokens_total')).toEqual(['andthen_tokens_total 1'])
})

it('prefixes everything', async () => {
  const { text } = await createMetrics().exposition()
  const names = text.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  expect(names.length).toBeGreaterThan(0)
  expect(names.filter(line => !line.startsWith('andthen_'))).toEqual([])
})
