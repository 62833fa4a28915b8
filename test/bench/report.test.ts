import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { atMost, type Criterion } from '../../src/bench/criteria.ts'
import { plotSteps } from '../../src/bench/plot.ts'
import { type BenchReport, createReport, relayCongestionControl, type VariantResult } from '../../src/bench/report.ts'
import { type RunSamples, SamplesFile } from '../../src/bench/samples.ts'
import { summarize } from '../../src/bench/statistics.ts'
import { formatTable } from '../../src/bench/table.ts'

const around = (ms: number) => summarize(Array.from({ length: 100 }, (_, i) => ms + (i - 49.5) / 100))
const push: VariantResult = {
  servers: 4,
  route: 'push',
  verify: 'auto',
  runs: 10,
  failed: 1,
  stepMs: around(131),
  msPerToken: around(131),
  ci95: [130.5, 131.5],
  floorMs: 127.2,
  floorRatio: 131 / 127.2,
  routeFloorMs: 127.2,
  bytesUp: 4096,
  bytesDown: 8192,
  pushesUsed: 0.998
}
const relay: VariantResult = {
  ...push,
  route: 'relay',
  failed: 0,
  stepMs: around(204),
  routeFloorMs: 202,
  ci95: null,
  pushesUsed: null
}
const nothing: VariantResult = {
  ...push,
  route: 'a<b&c',
  failed: 10,
  stepMs: summarize([]),
  msPerToken: summarize([]),
  ci95: null
}
const measurement = { oneWayMs: 25.3, roundTripMs: around(50.6), messageBytes: 64 }

function report(results: VariantResult[], criteria: Criterion[] = []): BenchReport {
  return createReport({
    command: 'routes',
    seed: 1,
    startedAt: new Date(0).toISOString(),
    model: { id: 'tiny', digest: 'ab', weights: 'f32', wire: 'f32' },
    clock: 'shared',
    link: {
      kind: 'relay',
      nominal: { delayMs: 25, jitterMs: 0, bandwidth: 100e6 },
      measured: { before: measurement, after: measurement },
      congestionControl: relayCongestionControl
    },
    results,
    criteria
  })
}

describe('report', () => {
  test('is the schema’s, and survives JSON unchanged', () => {
    const made = report([push, relay, nothing])
    expect(JSON.parse(JSON.stringify(made))).toEqual(made)
    expect(Object.keys(made)).toEqual([
      ...[
        'schema',
        'command',
        'seed',
        'startedAt',
        'versions',
        'machine',
        'model',
        'clock',
        'link',
        'results',
        'criteria'
      ]
    ])
    expect(made.schema).toBe('andthen.bench/1')
    expect(made.link.congestionControl).toBe('hidden by the user-space relay')
  })

  test('names this machine and the versions that a figure depends on', async () => {
    const { machine, versions } = report([])
    const manifest = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'))
    const { libp2p, koffi, 'onnxruntime-node': onnxruntime } = manifest.dependencies
    expect(versions).toEqual({ andthen: manifest.version, node: process.versions.node, libp2p, koffi, onnxruntime })
    expect(machine.cores).toBeGreaterThanOrEqual(1)
    expect(machine.memoryBytes).toBeGreaterThan(2 ** 20)
    for (const text of [machine.cpu, machine.kernel, machine.architecture]) expect(text).not.toBe('')
  })
})

describe('table', () => {
  test('a line a variant, columns aligned, nulls as dashes, failures told', () => {
    const lines = formatTable(report([push, relay, nothing])).split('\n')
    expect(lines[0]).toMatch(/^servers +route +verify +runs +ms\/token p50 +p90 +p99 +step mean +95% +floor +ratio/)
    expect(lines[1]).toMatch(
      /^4 +push +auto +10 \(1 failed\) +131\.0 +131\.4 +- +131\.0 +130\.5\.\.131\.5 +127\.2 +1\.030 .* 4\.0 +8\.0 +99\.8%$/
    )
    expect(lines[2]).toMatch(/^4 +relay .* 204\.0 +- /)
    expect(lines[3]).toMatch(/^4 +a<b&c +auto +10 \(10 failed\) +- +- +- +- +- /)
    const ends = lines.slice(0, 3).map(line => line.length)
    expect(new Set(ends).size, 'the last column is aligned to the right').toBe(1)
  })

  test('what was promised stands below, with its interval and limit', () => {
    const text = formatTable(report([push], [atMost('push over its floor', 1.05, 1.0123456, [1.01, 1.051])]))
    expect(text).toContain('\n\nMISS  push over its floor: 1.012 (1.01..1.051), at most 1.05\n\n')
  })

  test('says what the link was, and what it hides', () => {
    const text = formatTable(report([push]))
    expect(text).toContain('relay, 25 ms each way, jitter 0 ms, 100 Mbit/s; echoed 25.3 before, 25.3 after')
    expect(text).toContain('congestion control: hidden by the user-space relay')
  })
})

describe('plot', () => {
  const positions = (svg: string, pattern: RegExp) => [...svg.matchAll(pattern)].map(match => Number(match[1]))

  test('a dot for every variant that has a figure, in proportion to it, and the floor’s line', () => {
    const svg = plotSteps(report([push, relay, nothing]))
    const dots = positions(svg, /class="dot" cx="([\d.]+)"/g)
    const [floor] = positions(svg, /class="floor" x1="([\d.]+)"/g)
    const [zero] = positions(svg, /class="grid" x1="([\d.]+)"/g)
    expect(dots).toHaveLength(2)
    const scale = (dots[0]! - zero!) / 131
    expect((dots[1]! - zero!) / scale).toBeCloseTo(204, 0)
    expect((floor! - zero!) / scale).toBeCloseTo(127.2, 0)
    expect(svg).toContain('no run succeeded')
    expect(svg).toContain('time of a step (ms)')
    expect(svg).toContain('prefers-color-scheme: dark')
  })

  test('names are escaped, and no number is missing', () => {
    const svg = plotSteps(report([nothing, relay]))
    expect(svg).toContain('a&#60;b&#38;c')
    expect(svg).not.toMatch(/NaN|undefined|null|Infinity/)
  })

  test.each([[[]], [[nothing]], [[{ ...push, stepMs: around(0.51), floorMs: null, routeFloorMs: null, ci95: null }]]])(
    'there is a plot of whatever was measured (%#)',
    results => {
      const svg = plotSteps(report(results))
      expect(svg).not.toMatch(/NaN|undefined|Infinity/)
      expect(svg.match(/class="grid"/g)?.length).toBeGreaterThanOrEqual(3)
    }
  )
})

test('samples.jsonl has a line a run, failed ones too', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'andthen-samples-'))
  try {
    const file = await SamplesFile.create(join(folder, 'not', 'there', 'yet'))
    const of = { servers: 2, verify: 'auto', run: 0 } as const
    const runs: RunSamples[] = [
      {
        ...{
          ...of,
          route: 'push',
          failed: null,
          stepMs: [1.5, 2],
          gapMs: [2],
          clientMs: [0.1, 0.2],
          computeMs: [1, 1]
        },
        ...{ timeToFirstTokenMs: 9, pushes: { possible: 2, used: 2 }, bytesUp: 10, bytesDown: 20 }
      },
      { ...of, route: 'relay', failed: 'PEER_UNREACHABLE', message: 'nobody answers' }
    ]
    for (const run of runs) await file.add(run)
    await file.close()
    const lines = (await readFile(file.path, 'utf8')).split('\n')
    expect(lines.pop(), 'ends with a newline').toBe('')
    expect(lines.map(line => JSON.parse(line))).toEqual(runs)
  } finally {
    await rm(folder, { recursive: true })
  }
})
