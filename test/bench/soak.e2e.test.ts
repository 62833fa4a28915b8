import { expect, it } from 'vitest'
import type { SoakReport } from '../../src/bench/index.ts'
import { program } from '../cli/program.ts'

// Ten minutes of it are `npm run bench -- soak --flood`.

it('20 s of requests, closes, resets and black holes under a flood: nothing acknowledged is lost, nothing is left', {
  timeout: 120_000
}, async () => {
  const seed = 1 + Math.floor(Math.random() * 1_000_000)
  const { status, out, err } = await program('bench', [
    ...['soak', '--duration', '20s', '--flood', '--seed', String(seed), '--json']
  ])
  const report = JSON.parse(out || '{}') as SoakReport
  const missed = report.criteria.filter(({ ok }) => !ok)
  expect({ missed, unexcused: report.unexcused }, `seed ${seed}`).toEqual({ missed: [], unexcused: [] })
  expect({ status, err }).toEqual({ status: 0, err: '' })
  // It was no idle soak: every kind of thing happened, and most of it to somebody who had to be served.
  expect(Object.keys(report.actions).sort()).toEqual(
    expect.arrayContaining(['blackhole', 'call', 'leave', 'rest', 'session'])
  )
  expect(report.clear).toBeGreaterThan(50)
  expect(Math.min(...Object.values({ ...report.flood?.poured })), JSON.stringify(report.flood)).toBeGreaterThan(10)
})
