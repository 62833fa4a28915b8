import { createRng } from './rng.ts'

export interface Trial<V> {
  variant: V
  /** Number of the round, from 0; every round holds every variant once. */
  run: number
}

/**
 * What to run, in order: every variant once a round, each round in a seeded order of its own. A machine that warms up
 * or slows down in the middle of a benchmark then does so to all variants alike.
 */
export function interleave<V>(variants: readonly V[], runs: number, seed: number): Trial<V>[] {
  const rng = createRng(seed)
  return Array.from({ length: runs }, (_, run) =>
    shuffle(variants, rng.integer).map(variant => ({ variant, run }))
  ).flat()
}

/** Fisher and Yates's shuffle, on a copy. */
function shuffle<T>(items: readonly T[], integer: (below: number) => number): T[] {
  const left = [...items]
  const shuffled: T[] = []
  while (left.length > 0) shuffled.push(...left.splice(integer(left.length), 1))
  return shuffled
}
