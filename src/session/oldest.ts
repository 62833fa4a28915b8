import { type BatchingPolicy, queueDelay } from './scheduler.ts'

export interface OldestInit {
  /** Most sessions in one run. @default 8 */
  maxCandidates?: number
  /** A run starts at once when so many are ready; the largest that can be filled counts. @default [maxCandidates] */
  preferredBatch?: readonly number[]
  /** Short of a preferred size a run waits while fewer of the sessions that are decoding are ready, from 0 to 1. @default 1 */
  minUtilisation?: number
  /** For at most so long. @default half of what a run takes, from 1 to 20 ms */
  queueDelayMs?: number
}

/**
 * The oldest decodes first, as many as the largest preferred batch takes. It waits only for sessions that are expected.
 * Source: Triton's sequence batcher, "Oldest" (`max_candidate_sequences`, `preferred_batch_size`).
 */
export function oldest(init: OldestInit = {}): BatchingPolicy {
  const { maxCandidates = 8, minUtilisation = 1, queueDelayMs } = init
  const sizes = [...(init.preferredBatch ?? [maxCandidates])].sort((a, b) => b - a)
  return {
    queueDelayMs: queueDelay(queueDelayMs),
    choose(ready, expected, mayWait) {
      const candidates = ready.slice(0, maxCandidates)
      const preferred = sizes.find(size => size <= candidates.length)
      if (preferred !== undefined) return candidates.slice(0, preferred)
      const utilisation = candidates.length / (candidates.length + expected)
      return mayWait && utilisation < minUtilisation ? [] : candidates
    }
  }
}
