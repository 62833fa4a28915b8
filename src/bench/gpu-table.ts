import { formatCriterion } from './criteria.ts'
import type { GpuBenchResult, GpuResult } from './gpu.ts'
import { alignRows, machineLine, ms } from './table.ts'

type Column = readonly [title: string, value: (result: GpuResult) => string]

const columns: readonly Column[] = [
  ['run', ({ kind }) => kind],
  ['blocks', ({ blocks }) => String(blocks)],
  ['batch', ({ batch }) => String(batch)],
  ['past', ({ past }) => String(past)],
  ['tokens', ({ batch, tokens }) => String(batch * tokens)],
  ['ms mean', ({ runMs }) => ms(runMs.mean)],
  ['p50', ({ runMs }) => ms(runMs.p50)],
  ['p90', ({ runMs }) => ms(runMs.p90)],
  ['queued ms', ({ queuedMs }) => ms(queuedMs)],
  ['GB/s', ({ bytesPerSecond }) => (bytesPerSecond / 1e9).toFixed(1)],
  ['of copies', ({ copyShare }) => percent(copyShare)],
  ['outside kernels', ({ outsideShare }) => (outsideShare === null ? '-' : percent(outsideShare))]
]

/** The device's figures for people, in the form of the other benchmarks' tables. */
export function formatGpu(result: GpuBenchResult): string {
  const { device, weights, workload, copy, machine, versions, criteria, leftOut } = result
  const { hiddenSize, heads, kvHeads, mlpSize } = workload.shape
  const rows = result.results.map(one => columns.map(([, value]) => value(one)))
  return [
    ...alignRows([columns.map(([title]) => title), ...rows], 1),
    '',
    ...criteria.map(formatCriterion),
    ...(criteria.length > 0 ? [''] : []),
    ...leftOut.map(({ blocks, bytes, freeBytes }) => {
      return `left out: ${blocks} blocks, which take ${gib(bytes)} of the device's memory, of which ${gib(freeBytes)} are free`
    }),
    `device: ${device.name}, ${device.reason}; copies of ${copy.bytes / 2 ** 20} MiB: ${(copy.bytesPerSecond / 1e9).toFixed(1)} GB/s read and written`,
    `span: hidden ${hiddenSize}, ${heads} heads, ${kvHeads} of keys and values, feed-forward ${mlpSize}; weights ${weights}`,
    machineLine(machine, versions)
  ].join('\n')
}

function gib(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)}%`
}
