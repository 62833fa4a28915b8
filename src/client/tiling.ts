import type { BlockRange } from '../model/index.ts'

/** A span that may be used, whole or not at all. */
export interface Choice extends BlockRange {
  /** What using it costs, the weightiest first; compared number by number after adding up. */
  readonly cost: readonly number[]
}

export interface Tiling<T> {
  /** In order of their blocks; with `missing` they tile the model exactly. */
  readonly chosen: readonly T[]
  /** Ranges that no span fills; empty where the model is tiled. */
  readonly missing: readonly BlockRange[]
}

interface Best<T> {
  /** Missing blocks, then the sums of the costs. */
  readonly cost: readonly number[]
  readonly before: Best<T> | null
  /** What was put last: a span, or null for one block that is missing (and for the beginning). */
  readonly last: T | null
}

/**
 * The cheapest spans that tile blocks 0 to `blocks - 1` exactly; where none do, those that leave the fewest blocks
 * missing. Dynamic programming over block boundaries.
 */
export function chooseTiling<T extends Choice>(spans: readonly T[], blocks: number): Tiling<T> {
  let cheapest: Best<T> = { cost: [0], before: null, last: null }
  const best = [cheapest]
  for (let to = 1; to <= blocks; to++) {
    cheapest = extend(cheapest, [1], null)
    for (const span of spans) {
      const before = span.to === to && span.from < to ? best[span.from] : undefined
      if (before === undefined) continue
      const other = extend(before, [0, ...span.cost], span)
      if (isLess(other.cost, cheapest.cost)) cheapest = other
    }
    best.push(cheapest)
  }
  const chosen: T[] = []
  const missing: { from: number; to: number }[] = []
  let at = blocks
  for (let step = cheapest; step.before !== null; step = step.before) {
    if (step.last !== null) {
      chosen.unshift(step.last)
      at = step.last.from
    } else {
      const [first] = missing
      if (first?.from === at) first.from--
      else missing.unshift({ from: at - 1, to: at })
      at--
    }
  }
  return { chosen, missing }
}

function extend<T>(before: Best<T>, cost: readonly number[], last: T | null): Best<T> {
  const length = Math.max(before.cost.length, cost.length)
  const sum = Array.from({ length }, (_, i) => (before.cost[i] ?? 0) + (cost[i] ?? 0))
  return { cost: sum, before, last }
}

function isLess(a: readonly number[], b: readonly number[]): boolean {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return difference < 0
  }
  return false
}
