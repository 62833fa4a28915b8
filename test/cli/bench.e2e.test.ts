import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { BenchReport, FloodReport, SessionsReport } from '../../src/bench/index.ts'
import { program } from './program.ts'

const small = ['--servers', '2', '--prompt-tokens', '4', '--tokens', '4', '--runs', '2', '--warmup', '0', '--json']
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'andthen-bench-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function bench(name: string, ...args: string[]): Promise<BenchReport> {
  const { status, out, err } = await program('bench', [name, ...small, ...args])
  expect({ status, err }).toEqual({ status: 0, err: '' })
  expect(out.endsWith('\n') && out.trimEnd().includes('\n'), 'one line on stdout').toBe(false)
  return JSON.parse(out) as BenchReport
}

describe('bench', () => {
  it('routes: every variant through the shaped links, with floors, bytes and pushes', { timeout: 60_000 }, async () => {
    const report = await bench('routes', '--delay', '5ms', '--verify', 'auto,none', '--out', folder)
    const { results, link } = report
    expect(results.map(({ route, verify }) => `${route}, ${verify}`).slice(0, 3)).toEqual([
      ...['relay, auto', 'push, auto', 'push, none']
    ])
    for (const { servers, runs, failed, stepMs, bytesUp, bytesDown, routeFloorMs } of results) {
      expect({ servers, runs, failed, n: stepMs.n }).toEqual({ servers: 2, runs: 2, failed: 0, n: 6 })
      expect(routeFloorMs).toBeGreaterThan(15)
      expect(stepMs.mean, 'no step is faster than its links').toBeGreaterThan(15)
      expect(Math.min(bytesUp ?? 0, bytesDown ?? 0)).toBeGreaterThan(0)
    }
    expect(link).toMatchObject({ kind: 'relay', congestionControl: 'hidden by the user-space relay' })
    expect(link.measured?.before.oneWayMs).toBeGreaterThan(4.9)
    const [relay, push] = results
    expect(relay?.pushesUsed).toBeNull()
    expect(push?.pushesUsed).toBeGreaterThan(0)
    const samples = (await readFile(join(folder, 'samples.jsonl'), 'utf8')).trim().split('\n')
    expect(samples).toHaveLength(2 * results.length)
    expect(await readFile(join(folder, 'steps.svg'), 'utf8')).toContain('<svg')
    expect(JSON.parse(await readFile(join(folder, 'report.json'), 'utf8'))).toEqual(report)
  })

  it('chain: all lengths beside each other, and what each server adds', { timeout: 120_000 }, async () => {
    const { results, criteria } = await bench('chain')
    expect(results.map(({ servers, route }) => `${servers} ${route}`).slice(0, 4)).toEqual(
      expect.arrayContaining(['1 relay', '1 push'])
    )
    expect(results.every(({ failed }) => failed === 0)).toBe(true)
    expect(criteria.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'relay, auto, 2 servers: ms for each added server',
        'push, auto, 2 servers: ms for each added server',
        'start to ready, 4 blocks, ms'
      ])
    )
    const upload = criteria.find(({ name }) => name.includes('upload'))
    expect(upload?.ok, `the prompt is sent once: ${upload?.value}`).toBe(true)
  })

  it('sessions: what decoders gain, what a prompt delays, what the abandoned leave', { timeout: 120_000 }, async () => {
    const args = [
      '--model',
      'models/tiny-shakespeare',
      '--prompt-tokens',
      '300',
      '--concurrency',
      '3',
      '--requests',
      '30'
    ]
    const { status, out, err } = await program('bench', ['sessions', '--runs', '2', '--tokens', '4', ...args, '--json'])
    expect({ status, err }).toEqual({ status: 0, err: '' })
    const { batch, delay, abandoned, criteria } = JSON.parse(out) as SessionsReport
    expect(batch.sessions).toBe(3)
    for (const of of [batch.server, batch.bare]) expect(Math.min(of.one, of.all)).toBeGreaterThan(0)
    expect(batch.share.value).toBeGreaterThan(0)
    expect(delay).toMatchObject({ tokens: 300, chunkTokens: 128, chunkMs: { n: 6 } })
    expect(delay.pieces.value, 'three pieces have at most two steps between them').toBeGreaterThanOrEqual(1)
    expect(abandoned).toMatchObject({ sessions: 30, warmup: 6, started: 30, evicted: 30, wrong: 0 })
    expect(abandoned.before.inUse).toBeGreaterThan(0)
    expect(criteria).toHaveLength(4)
  })

  it('flood: the stranger is cut off, the generation is not', { timeout: 120_000 }, async () => {
    const { results, criteria } = (await bench('flood')) as FloodReport
    expect(results.map(({ flood, failed }) => [flood, failed])).toEqual([
      ['nobody', 0],
      ['bystander', 0],
      ['chain', 0]
    ])
    const [calm, , flooded] = results
    expect([calm?.sentPerSecond, calm?.overCalm]).toEqual([null, null])
    expect(flooded?.ignoredPerSecond).toBeGreaterThan(0)
    expect(flooded?.pushesUsed).toBeGreaterThan(0)
    expect(criteria.map(({ name }) => name)).toEqual([
      'step in a flooded chain over one beside a flooded bystander',
      'memory of the flooded server, MiB grown'
    ])
  })

  it('load: requests of several clients at a time', { timeout: 60_000 }, async () => {
    const report = await bench('load', '--routes', 'push', '--concurrency', '2', '--requests', '3')
    expect(report.results).toMatchObject([{ route: 'push', runs: 6, failed: 0, latencyMs: { n: 6 } }])
    expect(report).toMatchObject({ arrivals: { kind: 'closed', concurrency: 2 } })
  })
})
