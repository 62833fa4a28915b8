import { formatCriterion } from './criteria.ts'
import type { Machine, Versions } from './machine.ts'
import type { BenchReport, FloodReport, FloodResult, LoadReport, LoadResult, VariantResult } from './report.ts'
import type { Interval } from './statistics.ts'

type Column<R> = readonly [title: string, value: (result: R) => string]

const variant: readonly Column<VariantResult>[] = [
  ['servers', result => String(result.servers)],
  ['route', result => result.route],
  ['verify', result => result.verify]
]

const columns: readonly Column<VariantResult>[] = [
  ...variant,
  ['runs', ({ runs, failed }) => (failed === 0 ? String(runs) : `${runs} (${failed} failed)`)],
  ['ms/token p50', ({ msPerToken }) => ms(msPerToken.p50)],
  ['p90', ({ msPerToken }) => ms(msPerToken.p90)],
  ['p99', ({ msPerToken }) => ms(msPerToken.p99)],
  ['step mean', ({ stepMs }) => ms(stepMs.mean)],
  ['95%', ({ ci95 }) => interval(ci95)],
  ['floor', ({ floorMs }) => ms(floorMs)],
  ['ratio', ({ floorRatio }) => (floorRatio === null ? '-' : floorRatio.toFixed(3))],
  ['route floor', ({ routeFloorMs }) => ms(routeFloorMs)],
  ['KiB up', ({ bytesUp }) => kib(bytesUp)],
  ['KiB down', ({ bytesDown }) => kib(bytesDown)],
  ['pushes used', ({ pushesUsed }) => (pushesUsed === null ? '-' : `${(100 * pushesUsed).toFixed(1)}%`)]
]

const loadColumns: readonly Column<LoadResult>[] = [
  ...variant,
  ['requests', ({ runs, failed }) => (failed === 0 ? String(runs) : `${runs} (${failed} failed)`)],
  ['latency ms p50', ({ latencyMs }) => ms(latencyMs.p50)],
  ['p90', ({ latencyMs }) => ms(latencyMs.p90)],
  ['p99', ({ latencyMs }) => ms(latencyMs.p99)],
  ['mean', ({ latencyMs }) => ms(latencyMs.mean)],
  ['95%', ({ latencyCi95 }) => interval(latencyCi95)],
  ['first token p50', ({ firstTokenMs }) => ms(firstTokenMs.p50)],
  ['p90', ({ firstTokenMs }) => ms(firstTokenMs.p90)],
  ['ms/token p50', ({ msPerToken }) => ms(msPerToken.p50)],
  ['tokens/s', ({ tokensPerSecond }) => tokensPerSecond.toFixed(1)]
]

const floodColumns: readonly Column<FloodResult>[] = [
  ...variant,
  ['flood of', result => result.flood],
  ['runs', ({ runs, failed }) => (failed === 0 ? String(runs) : `${runs} (${failed} failed)`)],
  ['ms/token p50', ({ msPerToken }) => ms(msPerToken.p50)],
  ['p90', ({ msPerToken }) => ms(msPerToken.p90)],
  ['step mean', ({ stepMs }) => ms(stepMs.mean)],
  ['95%', ({ ci95 }) => interval(ci95)],
  ['over nobody', ({ overCalm }) => (overCalm === null ? '-' : overCalm.toFixed(3))],
  ['pushes used', ({ pushesUsed }) => (pushesUsed === null ? '-' : `${(100 * pushesUsed).toFixed(1)}%`)],
  ['forged/s', ({ sentPerSecond }) => count(sentPerSecond)],
  ['ignored/s', ({ ignoredPerSecond }) => count(ignoredPerSecond)],
  ['streams ended', ({ streamsEnded }) => count(streamsEnded)],
  ['server CPU s', ({ cpuSeconds }) => cpuSeconds.toFixed(1)]
]

/**
 * The report for people: a line a variant, then what was promised, then what holds for all. `-` is what was not
 * measured, or cannot be told.
 */
export function formatTable(report: BenchReport): string {
  return sections([tableOf(columns, report.results), report.criteria.map(formatCriterion), footer(report)])
}

/** The report of a load for people. */
export function formatLoad(report: LoadReport): string {
  const { arrivals } = report
  const kind =
    arrivals.kind === 'closed'
      ? `closed load: ${arrivals.concurrency} clients, each waiting for its answer`
      : `open load: ${arrivals.requestRate} requests a second at random (Poisson), latencies from the intended arrival`
  return sections([tableOf(loadColumns, report.results), [kind, ...footer(report)]])
}

/** The report of a flood for people. */
export function formatFlood(report: FloodReport): string {
  const { perSecond, memory } = report
  const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`
  const flood = `flood: ${perSecond} forged pushes a second tried, by a stranger; resident memory of the flooded server ${mib(memory.beforeBytes)} before, ${mib(memory.afterBytes)} after`
  return sections([
    tableOf(floodColumns, report.results),
    report.criteria.map(formatCriterion),
    [flood, ...footer(report)]
  ])
}

function tableOf<R>(columns: readonly Column<R>[], results: readonly R[]): string[] {
  const rows = results.map(result => columns.map(([, value]) => value(result)))
  return alignRows([columns.map(([title]) => title), ...rows], variant.length)
}

function sections(parts: readonly (readonly string[])[]): string {
  return parts
    .filter(lines => lines.length > 0)
    .map(lines => lines.join('\n'))
    .join('\n\n')
}

/** Rows of cells as lines; the first `left` columns are aligned to the left. */
export function alignRows(rows: readonly (readonly string[])[], left: number): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map(row => row[i]?.length ?? 0)))
  return rows.map(row =>
    row
      .map((cell, i) => pad(cell, widths[i] ?? 0, i < left))
      .join('  ')
      .trimEnd()
  )
}

function footer({ link, machine, versions, model, seed }: Omit<BenchReport, 'results' | 'criteria'>): string[] {
  const { delayMs, jitterMs, bandwidth } = link.nominal
  const rate = bandwidth === null ? 'no limit' : `${bandwidth / 1e6} Mbit/s`
  const measured =
    link.measured === null
      ? ''
      : `; echoed ${ms(link.measured.before.oneWayMs)} before, ${ms(link.measured.after.oneWayMs)} after`
  return [
    `link: ${link.kind}, ${delayMs} ms each way, jitter ${jitterMs} ms, ${rate}${measured}; congestion control: ${link.congestionControl}`,
    `model: ${model.id}, weights ${model.weights}, wire ${model.wire}; seed ${seed}`,
    machineLine(machine, versions)
  ]
}

/** Where, and by what, figures were taken. */
export function machineLine(machine: Machine, { node, andthen }: Versions): string {
  return `machine: ${machine.cpu}, ${machine.cores} cores, ${machine.kernel}; node ${node}, andthen ${andthen ?? '-'}`
}

function pad(cell: string, width: number, left: boolean): string {
  return left ? cell.padEnd(width) : cell.padStart(width)
}

/** Milliseconds, to three digits or so. */
export function ms(value: number | null): string {
  return value === null ? '-' : value.toFixed(value < 10 ? 2 : 1)
}

function interval(ci95: Interval | null): string {
  return ci95 === null ? '-' : `${ms(ci95[0])}..${ms(ci95[1])}`
}

function count(value: number | null): string {
  return value === null ? '-' : value.toFixed(0)
}

function kib(bytes: number | null): string {
  return bytes === null ? '-' : (bytes / 1024).toFixed(1)
}
