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
  /** How long a decode may be held back for others to join it, ms. */
  readonly queueDelayMs: number
  /**
   * `ready` is never empty and ordered by `since`. `expected` counts sessions whose last decode ended less than the
   * queue delay ago, so that their next is likely to come in time. An empty answer means: wait for more. With
   * `mayWait` false the delay is over and the answer must not be empty.
   */
  choose<R extends Ready>(ready: readonly R[], expected: number, mayWait: boolean): readonly R[]
}

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
    const until = oldest.since + this.#policy.queueDelayMs
    const works = this.#policy.choose(ready, this.#expected(ready, now), now < until).map(chosen => chosen.work)
    if (works.length > 0) {
      this.#prefillsTurn = true
      return { kind: 'decode', works }
    }
    return prefill === undefined ? { kind: 'wait', until } : this.#chunk(prefill)
  }

  /** The batch ran: returns the works that are complete. */
  finished(batch: Batch<W>, now: number): readonly W[] {
    if (batch.kind === 'decode') {
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

  #expected(ready: readonly Ready[], now: number): number {
    for (const [slot, endedAt] of this.#lastDecode) {
      if (endedAt + this.#policy.queueDelayMs <= now) this.#lastDecode.delete(slot)
    }
    const here = ready.reduce((sum, { slot }) => sum + (this.#lastDecode.has(slot) ? 1 : 0), 0)
    return this.#lastDecode.size - here
  }
}

function leastServed<Q extends { done: number; since: number }>(a: Q | undefined, b: Q): Q {
  if (a === undefined || b.done < a.done) return b
  return b.done === a.done && b.since < a.since ? b : a
}
