import { formatCriterion } from './criteria.ts'
import type { BenchReport, VariantResult } from './report.ts'

type Column = readonly [title: string, value: (result: VariantResult) => string]

const columns: readonly Column[] = [
  ['servers', result => String(result.servers)],
  ['route', result => result.route],
  ['verify', result => result.verify],
  ['runs', ({ runs, failed }) => (failed === 0 ? String(runs) : `${runs} (${failed} failed)`)],
  ['ms/token p50', ({ msPerToken }) => ms(msPerToken.p50)],
  ['p90', ({ msPerToken }) => ms(msPerToken.p90)],
  ['p99', ({ msPerToken }) => ms(msPerToken.p99)],
  ['step mean', ({ stepMs }) => ms(stepMs.mean)],
  ['95%', ({ ci95 }) => (ci95 === null ? '-' : `${ms(ci95[0])}..${ms(ci95[1])}`)],
  ['floor', ({ floorMs }) => ms(floorMs)],
  ['ratio', ({ floorRatio }) => (floorRatio === null ? '-' : floorRatio.toFixed(3))],
  ['route floor', ({ routeFloorMs }) => ms(routeFloorMs)],
  ['KiB up', ({ bytesUp }) => kib(bytesUp)],
  ['KiB down', ({ bytesDown }) => kib(bytesDown)],
  ['pushes used', ({ pushesUsed }) => (pushesUsed === null ? '-' : `${(100 * pushesUsed).toFixed(1)}%`)]
]

/**
 * The report for people: a line a variant, then what was promised, then what holds for all. `-` is what was not
 * measured, or cannot be told.
 */
export function formatTable(report: BenchReport): string {
  const rows = report.results.map(result => columns.map(([, value]) => value(result)))
  const titles = columns.map(([title]) => title)
  const sections = [alignRows([titles, ...rows], 3), report.criteria.map(formatCriterion), footer(report)]
  return sections
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

export function footer({ link, machine, versions, model, seed }: Omit<BenchReport, 'results' | 'criteria'>): string[] {
  const { delayMs, jitterMs, bandwidth } = link.nominal
  const rate = bandwidth === null ? 'no limit' : `${bandwidth / 1e6} Mbit/s`
  const measured =
    link.measured === null
      ? ''
      : `; echoed ${ms(link.measured.before.oneWayMs)} before, ${ms(link.measured.after.oneWayMs)} after`
  return [
    `link: ${link.kind}, ${delayMs} ms each way, jitter ${jitterMs} ms, ${rate}${measured}; congestion control: ${link.congestionControl}`,
    `model: ${model.id}, weights ${model.weights}, wire ${model.wire}; seed ${seed}`,
    `machine: ${machine.cpu}, ${machine.cores} cores, ${machine.kernel}; node ${versions.node}, andthen ${versions.andthen ?? '-'}`
  ]
}

function pad(cell: string, width: number, left: boolean): string {
  return left ? cell.padEnd(width) : cell.padStart(width)
}

/** Milliseconds, to three digits or so. */
export function ms(value: number | null): string {
  return value === null ? '-' : value.toFixed(value < 10 ? 2 : 1)
}

function kib(bytes: number | null): string {
  return bytes === null ? '-' : (bytes / 1024).toFixed(1)
}
