import { expect, it } from 'vitest'
import { createMetrics } from '../../src/gateway/index.ts'

const lines = async (metrics: ReturnType<typeof createMetrics>, name: string) =>
  (await metrics.exposition()).text.split('\n').filter(line => line.startsWith(name))

it('counts by label', async () => {
  const metrics = createMetrics()
  const evicted = metrics.counter({ name: 'evictions_total', help: 'Sessions ended.', labels: ['reason'] })
  evicted({ reason: 'IDLE' })
  evicted({ reason: 'IDLE' }, 2)
  evicted({ reason: 'END' })
  expect(await lines(metrics, 'andthen_evictions_total')).toEqual([
    'andthen_evictions_total{reason="IDLE"} 3',
    'andthen_evictions_total{reason="END"} 1'
  ])
})

it('sorts observations into buckets', async () => {
  const metrics = createMetrics()
  const observe = metrics.histogram({ name: 'step_seconds', help: 'Steps.', buckets: [0.01, 0.1] })
  for (const seconds of [0.005, 0.05, 5]) observe({}, seconds)
  expect(await lines(metrics, 'andthen_step_seconds_bucket')).toEqual([
    'andthen_step_seconds_bucket{le="0.01"} 1',
    'andthen_step_seconds_bucket{le="0.1"} 2',
    'andthen_step_seconds_bucket{le="+Inf"} 3'
  ])
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
  one.counter({ name: 'tokens_total', help: 'Tokens.' })({}, 1)
  other.counter({ name: 'tokens_total', help: 'Tokens.' })({}, 2)
  expect(await lines(one, 'andthen_tokens_total')).toEqual(['andthen_tokens_total 1'])
})

it('prefixes everything', async () => {
  const { text } = await createMetrics().exposition()
  const names = text.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  expect(names.length).toBeGreaterThan(0)
  expect(names.filter(line => !line.startsWith('andthen_'))).toEqual([])
})
