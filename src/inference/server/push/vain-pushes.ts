import type { Clock } from '../../../base/index.ts'
import { type Asker, PeerLimiter, RateLimitedError, RateLimiter } from '../../../network/index.ts'

/** More than chance brings about, and so few that refusing them takes no time to speak of. */
const LIMIT = { burst: 256, perSecond: 64 }
/** Bytes that are read past count, too: one more for each fragment. */
const FRAGMENT_BYTES = 64 * 1024
/** Of an attach, which any client can make an honest peer send to a session that is not there; refusing it is a look-up. */
const ATTACH_COST = 1 / 8
/** A new stream of a peer over its limit is of use for so many more, or not at all: opening one is work, too. */
const LEAST_LEFT = 16

/**
 * What came in vain, held against whoever alone can have caused it. A peer sends where its clients say, so that any of them
 * can make an honest one push what is of no use; but never beyond the credit that it was granted. What exceeds it counts
 * against the peer, and its host, whose push streams are ended in the end; what does not counts against the session that it was sent
 * to, which is granted no more for a while, and against no other.
 */
export class VainPushes {
  readonly #ofPeers: PeerLimiter
  readonly #ofSessions: RateLimiter

  constructor(components: { readonly clock: Clock }) {
    this.#ofPeers = new PeerLimiter(components, LIMIT)
    this.#ofSessions = new RateLimiter(components, LIMIT)
  }

  /** A push that was not granted. @throws RateLimitedError: the stream is to be ended */
  push(peer: Asker, bytes: number): void {
    this.#charge(peer, costOf(bytes))
  }

  /** An attach to what is not there, or not for this peer. @throws RateLimitedError: the stream is to be ended */
  attach(peer: Asker): void {
    this.#charge(peer, ATTACH_COST)
  }

  /** A push that was granted to the session of this key, and came to nothing. */
  granted(pushKey: string, bytes: number): void {
    this.#ofSessions.charge(pushKey, costOf(bytes))
  }

  /** In how many ms the session of this key may be granted more; 0 is now. */
  sessionWait(pushKey: string): number {
    return this.#ofSessions.wait(pushKey)
  }

  /** Why a new stream of this peer is of no use now; null where it is. */
  refusal(peer: Asker): RateLimitedError | null {
    const waitMs = this.#ofPeers.wait(peer, LEAST_LEFT)
    return waitMs > 0 ? inVain(peer, waitMs) : null
  }

  #charge(peer: Asker, cost: number): void {
    const waitMs = this.#ofPeers.take(peer, cost)
    if (waitMs > 0) throw inVain(peer, waitMs)
  }
}

const inVain = ({ peer }: Asker, waitMs: number): RateLimitedError =>
  new RateLimitedError(peer, 'pushes in vain', waitMs)

function costOf(bytes: number): number {
  return 1 + Math.floor(bytes / FRAGMENT_BYTES)
}
