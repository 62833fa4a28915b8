import type { Connection, StreamMuxer } from '@libp2p/interface'
import type { Clock, Logger } from '../base/index.ts'
import type { NetworkCounters } from './counters.ts'
import { RateLimitedError } from './errors.ts'
import { PeerLimiter } from './peer-limiter.ts'
import type { SharedHosts } from './shared-hosts.ts'
import type { RateLimit } from './token-buckets.ts'

export interface StreamFloodComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly counters: NetworkCounters
  readonly shared: SharedHosts
  /** A connection from this host was ended. */
  readonly onEnded: (host: string) => void
}

/**
 * Ends connections that pour out streams. A stream that is over a limit, or of a protocol that is not there, is refused in
 * words, for which it has to be negotiated first: that is work, and nobody is owed any amount of it. It is counted as it comes,
 * before that, whatever becomes of it.
 */
export class StreamFlood {
  readonly #components: StreamFloodComponents
  readonly #limit: PeerLimiter

  /** @param limit streams of one peer, those that are refused included */
  constructor(components: StreamFloodComponents, limit: RateLimit) {
    this.#components = components
    this.#limit = new PeerLimiter(components, limit)
  }

  /** Counts the streams that come over it, until it ends. */
  watch(connection: Connection): void {
    const { counters, logger, shared, onEnded } = this.#components
    const asker = { peer: connection.remotePeer.toString(), host: shared.sourceOf(connection) }
    muxerOf(connection)?.addEventListener('stream', () => {
      const waitMs = this.#limit.take(asker)
      if (waitMs === 0 || connection.status !== 'open') return
      counters.connectionsFlooding++
      logger.debug({ peer: asker.peer }, 'a connection was ended: too many streams')
      onEnded(asker.host)
      connection.abort(new RateLimitedError(asker.peer, 'streams', waitMs))
    })
  }
}

/** By a field of the pinned libp2p. Without it, streams are refused one by one, at their price. */
function muxerOf(connection: Connection): Pick<StreamMuxer, 'addEventListener'> | undefined {
  return (connection as { muxer?: StreamMuxer }).muxer
}
