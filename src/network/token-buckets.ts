/** `burst` at once, then `perSecond`. */
export interface RateLimit {
  readonly perSecond: number
  readonly burst: number
}

/**
 * Keys remembered at the least, and up to twice as many; a forgotten one begins with a full bucket, so those go that were
 * unused longest.
 */
const KEYS_KEPT = 4_096

/** One token bucket, full at first. */
class TokenBucket {
  readonly #limit: RateLimit
  // Numbers from the start: they are changed in place then, where others would be boxed anew each time.
  #tokens = 0
  #at = 0

  constructor(limit: RateLimit, now: number) {
    this.#limit = limit
    this.#tokens = limit.burst
    this.#at = now
  }

  /** In how many ms `tokens` will be there; 0 where they are. */
  wait(tokens: number, now: number): number {
    return waitFor(tokens - this.#filled(now), this.#limit)
  }

  /** Takes `tokens` and returns 0; or takes none, and returns in how many ms as many will be there. */
  take(tokens: number, now: number): number {
    this.#fill(now)
    const waitMs = waitFor(tokens - this.#tokens, this.#limit)
    if (waitMs === 0) this.#tokens -= tokens
    return waitMs
  }

  /** Takes `tokens`, there or not, down to a burst of debt; returns in how many ms it owes nothing and holds a token. */
  charge(tokens: number, now: number): number {
    this.#fill(now)
    this.#tokens = Math.max(-this.#limit.burst, this.#tokens - tokens)
    return waitFor(1 - this.#tokens, this.#limit)
  }

  #fill(now: number): void {
    this.#tokens = this.#filled(now)
    this.#at = now
  }

  #filled(now: number): number {
    const { perSecond, burst } = this.#limit
    return Math.min(burst, this.#tokens + ((now - this.#at) * perSecond) / 1_000)
  }
}

/**
 * Token buckets by key, found by one look-up. Those used of late are in one map, those used before that in another, which is
 * dropped when the first is full: to keep them in the order of their use would move an entry with every call.
 */
export class TokenBuckets {
  readonly #limit: RateLimit
  #recent = new Map<string, TokenBucket>()
  #older = new Map<string, TokenBucket>()

  constructor(limit: RateLimit) {
    this.#limit = limit
  }

  /** The key's bucket; undefined where it is not remembered: it would be full. */
  find(key: string): TokenBucket | undefined {
    const recent = this.#recent.get(key)
    if (recent !== undefined || this.#older.size === 0) return recent
    const older = this.#older.get(key)
    if (older !== undefined) this.#remember(key, older)
    return older
  }

  /** The bucket of a key that has none, remembered from now on. */
  make(key: string, now: number): TokenBucket {
    const bucket = new TokenBucket(this.#limit, now)
    this.#remember(key, bucket)
    return bucket
  }

  /** In how many ms `tokens` will be in what `find` found. */
  wait(bucket: TokenBucket | undefined, tokens: number, now: number): number {
    return bucket === undefined ? waitFor(tokens - this.#limit.burst, this.#limit) : bucket.wait(tokens, now)
  }

  #remember(key: string, bucket: TokenBucket): void {
    this.#recent.set(key, bucket)
    if (this.#recent.size < KEYS_KEPT) return
    this.#older = this.#recent
    this.#recent = new Map()
  }
}

/** How long it takes until so many tokens have flowed in, ms. */
function waitFor(missing: number, { perSecond }: RateLimit): number {
  return missing > 0 ? Math.ceil((missing * 1_000) / perSecond) : 0
}
