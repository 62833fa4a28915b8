import type { Clock } from '../base/index.ts'
import { type RateLimit, TokenBuckets } from './token-buckets.ts'

/** One token bucket for each key, as a peer id or a host. */
export class RateLimiter {
  readonly #clock: Clock
  readonly #buckets: TokenBuckets

  constructor(components: { readonly clock: Clock }, limit: RateLimit) {
    this.#clock = components.clock
    this.#buckets = new TokenBuckets(limit)
  }

  /** Takes `tokens` and returns 0; or takes none, and returns in how many ms as many will be there. */
  take(key: string, tokens = 1): number {
    const now = this.#clock.now()
    return (this.#buckets.find(key) ?? this.#buckets.make(key, now)).take(tokens, now)
  }

  /**
   * Takes `tokens` for what was done already, whether they are there or not: the bucket may owe up to a burst. Returns in
   * how many ms it owes nothing and holds a token.
   */
  charge(key: string, tokens: number): number {
    const now = this.#clock.now()
    return (this.#buckets.find(key) ?? this.#buckets.make(key, now)).charge(tokens, now)
  }

  /** In how many ms `tokens` will be there; 0 where they are. Takes none. */
  wait(key: string, tokens = 1): number {
    return this.#buckets.wait(this.#buckets.find(key), tokens, this.#clock.now())
  }
}
