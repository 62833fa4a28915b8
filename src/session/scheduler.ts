/** A run of the span that waits for its turn: one token is a decode, more are a prefill. */
export interface Work {
  /** Row of the KV slab; works of one slot run one at a time, in the order that they came in. */
  readonly slot: number
  readonly tokens: number
}

/** What the lane runs next, as one call of the runtime. */
export type Batch<W extends Work> =
  | { readonly kind: 'decode'; readonly works: readonly W[] }
  | { readonly kind: 'prefill'; readonly work: W; readonly offset: number; readonly tokens: number }

/** A decode that could run now. */
export interface Ready {
  readonly slot: number
  /** When it came in, ms. */
  readonly since: number
}

/** Which of the decodes that are ready run together. */
export interface BatchingPolicy {
  /** How long a decode may be held back for others to join it, ms, where a run takes `runMs`. */
  queueDelayMs(runMs: number): number
  /**
   * `ready` is never empty and ordered by `since`. `expected` counts sessions whose last decode ended less than the
   * queue delay ago, so that their next is likely to come in time. An empty answer means: wait for more. With
   * `mayWait` false the delay is over and the answer must not be empty.
   */
  choose<R extends Ready>(ready: readonly R[], expected: number, mayWait: boolean): readonly R[]
}

/** Timers are no finer than 1 ms; with more than 20 ms in a token on each server of a chain one would feel the others. */
const delays = { least: 1, most: 20 }

/**
 * A delay for which nothing was said: half a run, within bounds. Two runs in place of one cost the device more than that,
 * and whoever answers later than that is not worth being waited for by the others.
 */
export function queueDelay(given: number | undefined): BatchingPolicy['queueDelayMs'] {
  if (given !== undefined) return () => given
  return runMs => Math.min(delays.most, Math.max(delays.least, runMs / 2))
}

/** Weight of the newest run in what a run takes. */
const gain = 0.2

interface Queued<W extends Work> extends Ready {
  readonly work: W
  /** Tokens that have run; the rest of a prefill is `work.tokens - done`. */
  done: number
}

/**
 * Cuts the runs of many sessions into batches, fair by tokens: decodes that are ready go together, prefills go in chunks
 * of `chunkTokens`, the least served first, and the two take turns, so that a long prefill delays another session's step
 * by at most one chunk. In the spirit of nano-vllm's scheduler: next, run, finished.
 */
export class Scheduler<W extends Work> {
  readonly #policy: BatchingPolicy
  readonly #chunkTokens: number
  /** By slot; the head may run, the rest follow it. */
  readonly #queues = new Map<number, Queued<W>[]>()
  /** When each slot's last decode ended, while that is less than the queue delay ago. */
  readonly #lastDecode = new Map<number, number>()
  #prefillsTurn = false
  /** What a run of decodes takes, ms; null before there was one. */
  #runMs: number | null = null
  #startedAt = 0

  constructor(init: { policy: BatchingPolicy; chunkTokens: number }) {
    this.#policy = init.policy
    this.#chunkTokens = init.chunkTokens
  }

  add(work: W, now: number): void {
    const queue = this.#queues.get(work.slot)
    const queued = { work, slot: work.slot, since: now, done: 0 }
    if (queue === undefined) this.#queues.set(work.slot, [queued])
    else queue.push(queued)
  }

  remove(work: W): void {
    const left = this.#queues.get(work.slot)?.filter(queued => queued.work !== work) ?? []
    if (left.length > 0) this.#queues.set(work.slot, left)
    else this.#queues.delete(work.slot)
  }

  /** The next batch; or when to ask again, ms of the clock; or nothing to do until `add`. */
  next(now: number): Batch<W> | { readonly kind: 'wait'; readonly until: number } | undefined {
    const heads = [...this.#queues.values()].flatMap(queue => queue.slice(0, 1))
    const prefill = heads.filter(head => head.work.tokens > 1).reduce<Queued<W> | undefined>(leastServed, undefined)
    const ready = heads.filter(head => head.work.tokens === 1).sort((a, b) => a.since - b.since)
    if (prefill !== undefined && (this.#prefillsTurn || ready.length === 0)) return this.#chunk(prefill)
    const oldest = ready[0]
    if (oldest === undefined) return undefined
    const delayMs = this.#policy.queueDelayMs(this.#runMs ?? 0)
    const until = oldest.since + delayMs
    const works = this.#policy
      .choose(ready, this.#expected(ready, now, delayMs), now < until)
      .map(chosen => chosen.work)
    if (works.length > 0) {
      this.#prefillsTurn = true
      this.#startedAt = now
      return { kind: 'decode', works }
    }
    return prefill === undefined ? { kind: 'wait', until } : this.#chunk(prefill)
  }

  /** The batch ran: returns the works that are complete. */
  finished(batch: Batch<W>, now: number): readonly W[] {
    if (batch.kind === 'decode') {
      const runMs = now - this.#startedAt
      this.#runMs = this.#runMs === null ? runMs : this.#runMs + gain * (runMs - this.#runMs)
      for (const work of batch.works) {
        this.remove(work)
        this.#lastDecode.set(work.slot, now)
      }
      return batch.works
    }
    const head = this.#queues.get(batch.work.slot)?.[0]
    if (head?.work !== batch.work) return []
    head.done += batch.tokens
    if (head.done < batch.work.tokens) return []
    this.remove(batch.work)
    return [batch.work]
  }

  #chunk(prefill: Queued<W>): Batch<W> {
    this.#prefillsTurn = false
    const { work, done } = prefill
    return { kind: 'prefill', work, offset: done, tokens: Math.min(this.#chunkTokens, work.tokens - done) }
  }

  #expected(ready: readonly Ready[], now: number, delayMs: number): number {
    for (const [slot, endedAt] of this.#lastDecode) {
      if (endedAt + delayMs <= now) this.#lastDecode.delete(slot)
    }
    const here = ready.reduce((sum, { slot }) => sum + (this.#lastDecode.has(slot) ? 1 : 0), 0)
    return this.#lastDecode.size - here
  }
}

function leastServed<Q extends { done: number; since: number }>(a: Q | undefined, b: Q): Q {
  if (a === undefined || b.done < a.done) return b
  return b.done === a.done && b.since < a.since ? b : a
}
