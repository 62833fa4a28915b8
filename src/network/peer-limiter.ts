import type { Clock } from '../base/index.ts'
import { type RateLimit, TokenBuckets } from './token-buckets.ts'

/** Who asks: an id, of which anybody makes as many as he likes, and the host that it asks from, as `SharedHosts` tells it. */
export interface Asker {
  readonly peer: string
  readonly host: string
}

/** What one host may ask for, in shares of one peer: those behind one router, or in one laboratory, are more than one. */
const PEERS_OF_A_HOST = 8

/** A token bucket for each peer, and one for each host that holds as much as eight of them: beyond that another id brings nothing. */
export class PeerLimiter {
  readonly #clock: Clock
  readonly #peers: TokenBuckets
  readonly #hosts: TokenBuckets

  /** @param limit of one peer */
  constructor(components: { readonly clock: Clock }, { perSecond, burst }: RateLimit) {
    this.#clock = components.clock
    this.#peers = new TokenBuckets({ perSecond, burst })
    this.#hosts = new TokenBuckets({ perSecond: PEERS_OF_A_HOST * perSecond, burst: PEERS_OF_A_HOST * burst })
  }

  /** Takes `tokens` of both and returns 0; or takes none, and returns in how many ms as many will be there. */
  take({ peer, host }: Asker, tokens = 1): number {
    const now = this.#clock.now()
    const ofPeer = this.#peers.find(peer)
    const ofHost = this.#hosts.find(host)
    const waitMs = Math.max(this.#peers.wait(ofPeer, tokens, now), this.#hosts.wait(ofHost, tokens, now))
    // Who is refused is not remembered for that: whoever has ids without end would make others forgotten.
    if (waitMs > 0) return waitMs
    ;(ofPeer ?? this.#peers.make(peer, now)).take(tokens, now)
    ;(ofHost ?? this.#hosts.make(host, now)).take(tokens, now)
    return 0
  }

  /** In how many ms `tokens` will be there; 0 where they are. Takes none. */
  wait({ peer, host }: Asker, tokens = 1): number {
    const now = this.#clock.now()
    const ofPeer = this.#peers.wait(this.#peers.find(peer), tokens, now)
    return Math.max(ofPeer, this.#hosts.wait(this.#hosts.find(host), tokens, now))
  }
}
