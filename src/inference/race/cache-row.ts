import type { Effect } from './race-types.ts'
import type { StepRecord } from './step-record.ts'
import type { StepWindow } from './step-window.ts'

/**
 * The session's row of the KV cache: the one run that may be on it, what it holds, and what of that commits.
 *
 *     free ──due step has its input──▶ running ──ended──▶ free: one step longer; commits what is proven, in order
 *                                         │
 *                                         └──cut──▶ stopping ──ended──▶ free: as long as it was cut to
 */
export class CacheRow<I> {
  readonly #steps: StepWindow<I>
  readonly #isProven: (record: StepRecord<I>) => boolean
  #running: StepRecord<I> | null = null
  #length = 0
  /** Where the cache is cut once the run in flight has ended. */
  #cutTo: number | null = null

  /** @param isProven whether the owner's word is known on what this step was computed from */
  constructor(steps: StepWindow<I>, isProven: (record: StepRecord<I>) => boolean) {
    this.#steps = steps
    this.#isProven = isProven
  }

  /** Tokens that it holds; once cut no more than was cut to, though a run may still be in flight. */
  get length(): number {
    return this.#length
  }

  /** All that its future depends on, beside the steps. */
  get state(): object {
    return { length: this.#length, cutTo: this.#cutTo, running: this.#running }
  }

  /** Starts the next step whose turn it is, when the row is free. */
  advance(effects: Effect<I>[]): void {
    if (this.#running !== null) return
    const record = this.#steps.due
    if (record?.phase !== 'ready') return
    record.phase = 'running'
    this.#running = record
    effects.push({ kind: 'run', record })
  }

  /** Where a step commits: it is computed and proven, and all before it are committed. */
  commit(): void {
    this.#steps.commit(this.#isProven)
  }

  /** The run in flight ended; `completed` is false where it was terminated or failed. */
  ended(effects: Effect<I>[], completed: boolean): void {
    const record = this.#running
    if (record === null) return
    this.#running = null
    if (record.input !== null) effects.push({ kind: 'drop', input: record.input })
    record.input = null
    if (this.#cutTo !== null) {
      effects.push({ kind: 'truncate', length: this.#cutTo })
      this.#cutTo = null
    } else if (completed) {
      record.phase = 'done'
      this.#length = record.position + record.n
      this.#steps.computed()
      this.commit()
      effects.push({ kind: 'answer', record })
    }
    this.advance(effects)
  }

  /** Drops all steps, and cuts the cache to `length`, now or when the run in flight has ended. */
  cut(effects: Effect<I>[], length: number): void {
    for (const record of this.#steps.records) {
      if (record.input === null || record === this.#running) continue
      effects.push({ kind: 'drop', input: record.input })
    }
    this.#steps.begin(length)
    this.#length = length
    if (this.#running === null) effects.push({ kind: 'truncate', length })
    else {
      this.#cutTo = length
      effects.push({ kind: 'terminate' })
    }
  }
}
