import { createRng } from './rng.ts'

/** Samples in figures: milliseconds unless said otherwise. An empty sample has nulls. */
export interface Summary {
  n: number
  mean: number | null
  p50: number | null
  p90: number | null
  p99: number | null
  max: number | null
}

/** [low, high] of a 95% interval. */
export type Interval = readonly [low: number, high: number]

/** A percentile is told only where this many samples lie beyond it: else it is the luck of a few. */
const samplesBeyond = 10

/**
 * Percentile by nearest rank, of samples in ascending order.
 *
 * @param percent in (0, 100]
 * @returns null where fewer than ten samples lie beyond it
 */
export function percentile(ascending: ArrayLike<number>, percent: number): number | null {
  const rank = Math.ceil((percent / 100) * ascending.length)
  if (ascending.length - rank < samplesBeyond) return null
  return ascending[rank - 1] ?? null
}

/** @returns null of no samples */
export function mean(samples: ArrayLike<number>): number | null {
  if (samples.length === 0) return null
  let sum = 0
  for (let i = 0; i < samples.length; i++) sum += samples[i] ?? 0
  return sum / samples.length
}

export function summarize(samples: ArrayLike<number>): Summary {
  const ascending = Float64Array.from(samples).sort()
  return {
    n: ascending.length,
    mean: mean(ascending),
    p50: percentile(ascending, 50),
    p90: percentile(ascending, 90),
    p99: percentile(ascending, 99),
    max: ascending.at(-1) ?? null
  }
}

const resamples = 2000

/**
 * 95% interval of a statistic by the percentile bootstrap (Efron and Tibshirani 1993, chapter 13). Whole runs are drawn,
 * not their samples: the tokens of one run share its weather and are not independent.
 *
 * @param statistic of as many runs as were given, some of them several times; null where it has no value
 * @returns null for fewer than two runs: one says nothing about how runs differ
 */
export function bootstrapInterval<R>(
  runs: readonly R[],
  statistic: (runs: readonly R[]) => number | null,
  seed: number
): Interval | null {
  if (runs.length < 2) return null
  const rng = createRng(seed)
  const values: number[] = []
  for (let i = 0; i < resamples; i++) {
    const value = statistic(runs.map(() => pick(runs, rng.integer(runs.length))))
    if (value !== null) values.push(value)
  }
  const ascending = Float64Array.from(values).sort()
  const low = percentile(ascending, 2.5)
  const high = percentile(ascending, 97.5)
  return low === null || high === null ? null : [low, high]
}

function pick<T>(items: readonly T[], index: number): T {
  return items[index] as T
}
