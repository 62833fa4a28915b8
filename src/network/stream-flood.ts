import type { Connection } from '@libp2p/interface'
import type { Clock, Logger } from '../base/index.ts'
import type { NetworkCounters } from './counters.ts'
import { RateLimitedError } from './errors.ts'
import { type Asker, PeerLimiter } from './peer-limiter.ts'
import type { SharedHosts } from './shared-hosts.ts'
import type { RateLimit } from './token-buckets.ts'
import { ANSWERED } from './yamux-tuning.ts'

export interface StreamFloodComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly counters: NetworkCounters
  readonly shared: SharedHosts
  /** A connection from this host was ended. */
  readonly onEnded: (host: string) => void
}

export interface StreamFloodInit {
  /** Streams of one peer, those that are refused included. */
  readonly streams: RateLimit
  /** What the multiplexer itself answers one peer, as its pings. */
  readonly answers: RateLimit
}

/**
 * Ends connections that pour out streams. A stream that is over a limit, or of a protocol that is not there, is refused in
 * words, for which it has to be negotiated first: that is work, and nobody is owed any amount of it. It is counted as it comes,
 * before that, whatever becomes of it; and so is what needs no stream to be answered.
 */
export class StreamFlood {
  readonly #components: StreamFloodComponents
  readonly #streams: PeerLimiter
  readonly #answers: PeerLimiter

  constructor(components: StreamFloodComponents, init: StreamFloodInit) {
    this.#components = components
    this.#streams = new PeerLimiter(components, init.streams)
    this.#answers = new PeerLimiter(components, init.answers)
  }

  /** Counts what comes over it, until it ends. */
  watch(connection: Connection): void {
    const asker = this.#components.shared.askerOf(connection)
    const muxer = muxerOf(connection)
    muxer?.addEventListener('stream', () => this.#endIf(connection, asker, this.#streams.take(asker)))
    muxer?.addEventListener(ANSWERED, () => this.#endIf(connection, asker, this.#answers.take(asker)))
  }

  #endIf(connection: Connection, { peer, host }: Asker, waitMs: number): void {
    if (waitMs === 0 || connection.status !== 'open') return
    const { counters, logger, onEnded } = this.#components
    counters.connectionsFlooding++
    logger.debug({ peer }, 'a connection was ended: too many streams')
    onEnded(host)
    connection.abort(new RateLimitedError(peer, 'streams', waitMs))
  }
}

/** By a field of the pinned libp2p. Without it, streams are refused one by one, at their price. */
function muxerOf(connection: Connection): EventTarget | undefined {
  return (connection as { muxer?: EventTarget }).muxer
}
