/** Times in ms. A percentile that does not have 10 samples beyond it is null. */
export interface Distribution {
  readonly n: number
  readonly mean: number | null
  readonly p50: number | null
  readonly p90: number | null
  readonly p99: number | null
  readonly max: number | null
}

/** Samples that must lie beyond a percentile for it to be told. */
const BEYOND = 10

/** Percentiles by nearest rank. */
export function distribution(samples: readonly number[]): Distribution {
  const sorted = samples.toSorted((a, b) => a - b)
  const n = sorted.length
  const percentile = (percent: number): number | null => {
    const rank = Math.ceil((percent * n) / 100)
    return n - rank < BEYOND ? null : (sorted[rank - 1] ?? null)
  }
  return {
    n,
    mean: mean(samples),
    p50: percentile(50),
    p90: percentile(90),
    p99: percentile(99),
    max: sorted.at(-1) ?? null
  }
}

export function mean(samples: readonly number[]): number | null {
  return samples.length === 0 ? null : sum(samples) / samples.length
}

export function sum(samples: readonly number[]): number {
  return samples.reduce((total, sample) => total + sample, 0)
}
