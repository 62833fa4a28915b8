import { type Criterion, formatCriterion } from './criteria.ts'
import type { SpanBenchResult } from './span.ts'
import { alignRows, machineLine, ms } from './table.ts'

type Threads = SpanBenchResult['threads'][number]

const mebibyte = 2 ** 20

/** The span's figures for people, in the form of the other benchmarks' tables. */
export function formatSpan(result: SpanBenchResult): string {
  const { shape, past, machine, versions } = result
  const rows = result.threads.map(({ threads, stepMs, rooflineBytesPerSecond }) => [
    String(threads),
    ...(['runner', 'bare', 'search', 'product'] as const).map(of => ms(stepMs[of].p50)),
    (rooflineBytesPerSecond / 1e9).toFixed(1)
  ])
  const titles = ['threads', 'step p50, ms', 'ONNX Runtime alone', 'memory search', 'matrix product', 'memory GB/s']
  return [
    ...alignRows([titles, ...rows], 1),
    '',
    ...criteria(result).map(formatCriterion),
    '',
    `span: ${shape.blocks} blocks, hidden ${shape.hiddenSize}, ${shape.heads} heads, ${shape.kvHeads} of keys and values, feed-forward ${shape.mlpSize}; past ${past}; ${mib(result.weightBytes)} MiB of weights`,
    `memory: ${mib(result.memory.start)} MiB at the start, ${mib(result.memory.loaded)} loaded, ${mib(result.memory.afterSteps)} after 100 steps`,
    machineLine(machine, versions)
  ].join('\n')
}

function criteria(result: SpanBenchResult): Criterion[] {
  const { memoryOverhead } = result
  const memory = { ...memoryOverhead, value: mib(memoryOverhead.value), limit: mib(memoryOverhead.limit) }
  return [...result.threads.flatMap(ofThreads), { ...memory, name: 'memory beyond the weights, MiB', bound: 'at most' }]
}

function ofThreads({ threads, bareRatio, rooflineShare, eventLoopGap }: Threads): Criterion[] {
  return [
    { ...bareRatio, name: `${threads} threads: step over ONNX Runtime's own`, bound: 'at most' },
    { ...rooflineShare, name: `${threads} threads: share of what the memory gives`, bound: 'at least' },
    { ...eventLoopGap, name: `${threads} threads: longest gap of the event loop, ms`, bound: 'at most' }
  ]
}

function mib(bytes: number): number {
  return Math.round(bytes / mebibyte)
}
