import type { Clock } from '../base/index.ts'

/** A token bucket: `burst` at once, then `perSecond`. */
export interface RateLimit {
  readonly perSecond: number
  readonly burst: number
}

interface Bucket {
  tokens: number
  at: number
}

/** Keys remembered; a forgotten one begins with a full bucket, so the one unused longest goes. */
const KEYS_KEPT = 4_096

/** One token bucket for each key, as a peer id or a host. */
export class RateLimiter {
  readonly #clock: Clock
  readonly #limit: RateLimit
  readonly #buckets = new Map<string, Bucket>()

  constructor(components: { readonly clock: Clock }, limit: RateLimit) {
    this.#clock = components.clock
    this.#limit = limit
  }

  /** Takes `tokens` and returns 0; or takes none, and returns in how many ms as many will be there. */
  take(key: string, tokens = 1): number {
    const bucket = this.#filled(key)
    const waitMs = this.#waitFor(bucket, tokens)
    this.#remember(key, waitMs > 0 ? bucket : { ...bucket, tokens: bucket.tokens - tokens })
    return waitMs
  }

  /**
   * Takes `tokens` for what was done already, whether they are there or not: the bucket may owe up to a burst. Returns in
   * how many ms it owes nothing and holds a token.
   */
  charge(key: string, tokens: number): number {
    const bucket = this.#filled(key)
    const left = { ...bucket, tokens: Math.max(-this.#limit.burst, bucket.tokens - tokens) }
    this.#remember(key, left)
    return this.#waitFor(left, 1)
  }

  /** In how many ms `tokens` will be there; 0 where they are. Takes none. */
  wait(key: string, tokens = 1): number {
    return this.#waitFor(this.#filled(key), tokens)
  }

  #filled(key: string): Bucket {
    const { perSecond, burst } = this.#limit
    const now = this.#clock.now()
    const { tokens, at } = this.#buckets.get(key) ?? { tokens: burst, at: now }
    return { tokens: Math.min(burst, tokens + ((now - at) * perSecond) / 1_000), at: now }
  }

  #waitFor(bucket: Bucket, tokens: number): number {
    const missing = tokens - bucket.tokens
    return missing > 0 ? Math.ceil((missing * 1_000) / this.#limit.perSecond) : 0
  }

  #remember(key: string, bucket: Bucket): void {
    this.#buckets.delete(key)
    this.#buckets.set(key, bucket)
    if (this.#buckets.size <= KEYS_KEPT) return
    const oldest = this.#buckets.keys().next().value
    if (oldest !== undefined) this.#buckets.delete(oldest)
  }
}
