import type { Clock } from '../base/index.ts'
import { type RateLimit, RateLimiter } from './rate-limiter.ts'

/** Who asks: an id, of which anybody makes as many as he likes, and the host that it asks from, as `sourceOf` tells it. */
export interface Asker {
  readonly peer: string
  readonly host: string
}

/** What one host may ask for, in shares of one peer: those behind one router, or in one laboratory, are more than one. */
const PEERS_OF_A_HOST = 8

/** A token bucket for each peer, and one for each host that holds as much as eight of them: beyond that another id brings nothing. */
export class PeerLimiter {
  readonly #peers: RateLimiter
  readonly #hosts: RateLimiter

  /** @param limit of one peer */
  constructor(components: { readonly clock: Clock }, { perSecond, burst }: RateLimit) {
    this.#peers = new RateLimiter(components, { perSecond, burst })
    this.#hosts = new RateLimiter(components, {
      perSecond: PEERS_OF_A_HOST * perSecond,
      burst: PEERS_OF_A_HOST * burst
    })
  }

  /** Takes `tokens` of both and returns 0; or takes none, and returns in how many ms as many will be there. */
  take(asker: Asker, tokens = 1): number {
    const waitMs = this.wait(asker, tokens)
    if (waitMs > 0) return waitMs
    this.#peers.take(asker.peer, tokens)
    this.#hosts.take(asker.host, tokens)
    return 0
  }

  /** In how many ms `tokens` will be there; 0 where they are. Takes none. */
  wait({ peer, host }: Asker, tokens = 1): number {
    return Math.max(this.#peers.wait(peer, tokens), this.#hosts.wait(host, tokens))
  }
}
