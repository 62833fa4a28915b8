import { expect, it } from 'vitest'
import type { SoakReport } from '../../src/bench/index.ts'
import { createRng } from '../../src/bench/rng.ts'
import { nextAction, type SoakAction } from '../../src/bench/soak/schedule.ts'
import { program } from '../cli/program.ts'

// Ten minutes of it are `npm run bench -- soak --flood`.

const kinds: readonly SoakAction['kind'][] = ['blackhole', 'call', 'leave', 'rest', 'session']

/** A seed whose story has all of these early: how far 20 s get in it is for the machine to say. */
function seedOfAll(): number {
  for (;;) {
    const seed = 1 + Math.floor(Math.random() * 1_000_000)
    const rng = createRng(seed)
    const schedule = { ways: 3, idleTimeoutMs: 1, deathMs: 1 }
    const told = new Set(Array.from({ length: 100 }, () => nextAction(rng, schedule).kind))
    if (kinds.every(kind => told.has(kind))) return seed
  }
}

it('20 s of requests, closes, resets and black holes under a flood: nothing acknowledged is lost, nothing is left', {
  timeout: 120_000
}, async () => {
  const seed = seedOfAll()
  const { status, out, err } = await program('bench', [
    ...['soak', '--duration', '20s', '--flood', '--seed', String(seed), '--json']
  ])
  const report = JSON.parse(out || '{}') as SoakReport
  const missed = report.criteria.filter(({ ok }) => !ok)
  expect({ missed, unexcused: report.unexcused }, `seed ${seed}`).toEqual({ missed: [], unexcused: [] })
  expect({ status, err }).toEqual({ status: 0, err: '' })
  // It was no idle soak: every kind of thing happened, and most of it to somebody who had to be served.
  expect(Object.keys(report.actions)).toEqual(expect.arrayContaining([...kinds]))
  expect(report.clear).toBeGreaterThan(50)
  expect(Math.min(...Object.values({ ...report.flood?.poured })), JSON.stringify(report.flood)).toBeGreaterThan(10)
})
