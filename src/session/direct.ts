import { type BatchingPolicy, queueDelay, type Ready } from './scheduler.ts'

export interface DirectInit {
  /** A batch is held back while fewer of the sessions that are decoding are ready, from 0 to 1. @default 1 */
  minUtilisation?: number
  /** With so many ready, the least of these, it is not held back. @default none */
  preferredBatch?: readonly number[]
  /** For at most so long. @default half of what a run takes, from 1 to 20 ms */
  queueDelayMs?: number
  /**
   * Null rows in a row that one run may compute for nothing; a wider gap is worth a run of its own. A null row costs a
   * tenth (float32) to a third (int4) of what a run costs that has it alone. @default 4
   */
  maxGap?: number
}

/**
 * A slot a session, all that are ready in one run over the window of rows from the lowest to the highest; the rows
 * between that are not ready are null rows. Where a wide gap splits them, the oldest goes first with its neighbours.
 * Source: Triton's sequence batcher, "Direct" (`minimum_slot_utilization`, `max_queue_delay_microseconds`).
 */
export function direct(init: DirectInit = {}): BatchingPolicy {
  const { minUtilisation = 1, preferredBatch = [], queueDelayMs, maxGap = 4 } = init
  const enough = Math.min(...preferredBatch)
  return {
    queueDelayMs: queueDelay(queueDelayMs),
    choose(ready, expected, mayWait) {
      const utilisation = ready.length / (ready.length + expected)
      if (mayWait && ready.length < enough && utilisation < minUtilisation) return []
      return around(ready, maxGap)
    }
  }
}

/** The neighbourhood of the oldest: rows that are reached from it without a gap of more than `maxGap` null rows. */
function around<R extends Ready>(ready: readonly R[], maxGap: number): readonly R[] {
  const oldest = ready[0]
  const bySlot = [...ready].sort((a, b) => a.slot - b.slot)
  let from = 0
  for (let i = 1; i <= bySlot.length; i++) {
    const before = bySlot[i - 1]
    const here = bySlot[i]
    if (before !== undefined && here !== undefined && here.slot - before.slot - 1 <= maxGap) continue
    const group = bySlot.slice(from, i)
    if (group.some(member => member === oldest)) return group
    from = i
  }
  return bySlot
}
