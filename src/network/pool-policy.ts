/** What the pool is to do to a connection. */
export interface PoolEffect {
  /**
   * `refuse` and `refuse-host` end at once what came when there was no room, for all or for those of its host; `expel`
   * what did not go by itself.
   */
  readonly kind: 'goaway' | 'close' | 'refuse' | 'refuse-host' | 'expel'
  readonly connection: string
}

export interface PoolPolicyInit {
  /** How long a connection without leases stays; 0 is for ever. */
  readonly idleTimeoutMs: number
  /** How long a peer may take to answer GOAWAY, and to close after its own. */
  readonly goAwayTimeoutMs: number
  /** How long the other end may use a connection that was to close when nothing was done on it any more. */
  readonly graceMs: number
  readonly maxConnections: number
  /** Connections that may come from one host. @default maxConnections */
  readonly maxFrom?: (host: string) => number
  /** Whether something uses a connection that takes no lease: it does not count as idle then. @default nothing does */
  readonly isNeeded?: (connection: string) => boolean
}

/** How a connection came to be. */
export interface ConnectionWay {
  /** It goes through a relay. @default false */
  readonly relayed?: boolean
  /** Whose limit it counts for: the host that it came from. @default nobody's: it was dialled, or came through a relay */
  readonly host?: string | undefined
}

interface Entry extends ConnectionWay {
  readonly peer: string
  leases: number
  /** Since when without leases; meaningless while there are some. */
  idleSince: number
  /**
   * What we have said: nothing; GOAWAY, unanswered; or GOAWAY, after whose answer the peer opens nothing any more, so
   * that the connection closes with its last lease.
   */
  phase: 'open' | 'leaving' | 'left'
  /** When an unanswered GOAWAY counts as answered. */
  answerBy: number
  /** Since when it is `left`. */
  leftAt: number
  /** When the peer said GOAWAY: it closes, we open nothing on it. */
  peerLeftAt: number | undefined
}

/**
 * Decides which connections live. Pure: events and the time go in, effects come out; sockets and timers are the pool's.
 *
 * ```
 *             lease / release
 *               +-------+
 *               v       |          idle timeout,             answered,
 *   opened --> open ----+--> open ---------------> leaving --------------> left --> close
 *                                  or room needed             or too late        with the last lease, or
 *                                     effect: goaway                             expel, where the peer goes on
 * ```
 */
export class PoolPolicy {
  readonly #init: PoolPolicyInit
  readonly #entries = new Map<string, Entry>()

  constructor(init: PoolPolicyInit) {
    this.#init = init
  }

  get size(): number {
    return this.#entries.size
  }

  /** Leases held on all connections. */
  get leases(): number {
    let leases = 0
    for (const entry of this.#entries.values()) leases += entry.leases
    return leases
  }

  /**
   * A connection that streams to this peer may be opened on; a direct one if there is one, and the oldest, so that others
   * may idle away.
   */
  usable(peer: string): string | undefined {
    let relayed: string | undefined
    for (const [connection, entry] of this.#entries) {
      if (entry.peer !== peer || !isUsable(entry)) continue
      if (entry.relayed !== true) return connection
      relayed ??= connection
    }
    return relayed
  }

  isUsable(connection: string): boolean {
    const entry = this.#entries.get(connection)
    return entry !== undefined && isUsable(entry)
  }

  /** Whether another connection would be one too many, with none idle that could make room. */
  get full(): boolean {
    return this.#isFull([...this.#entries], this.#init.maxConnections)
  }

  /** The same, of those that came from one host. */
  isFullFrom(host: string): boolean {
    return this.#isFull(this.#from(host), this.#maxFrom(host))
  }

  opened(connection: string, peer: string, now: number, way: ConnectionWay = {}): PoolEffect[] {
    this.#entries.set(connection, {
      ...way,
      peer,
      leases: 0,
      idleSince: now,
      phase: 'open',
      answerBy: Number.POSITIVE_INFINITY,
      leftAt: Number.POSITIVE_INFINITY,
      peerLeftAt: undefined
    })
    const { host } = way
    const ofHost =
      host === undefined || this.#maxFrom(host) >= this.#init.maxConnections
        ? []
        : this.#makeRoom(this.#from(host), this.#maxFrom(host), connection, now)
    if (ofHost.length > 0)
      return ofHost.map(effect => (effect.kind === 'refuse' ? { ...effect, kind: 'refuse-host' } : effect))
    return this.#makeRoom([...this.#entries], this.#init.maxConnections, connection, now)
  }

  /** A lease more; false when the connection is gone. One that is leaving still takes those that its peer opened. */
  acquire(connection: string): boolean {
    const entry = this.#entries.get(connection)
    if (entry === undefined) return false
    entry.leases++
    return true
  }

  release(connection: string, now: number): PoolEffect[] {
    const entry = this.#entries.get(connection)
    if (entry === undefined || entry.leases === 0) return []
    entry.leases--
    if (entry.leases > 0) return []
    entry.idleSince = now
    return entry.phase === 'left' ? [{ kind: 'close', connection }] : []
  }

  /** The peer opens nothing on this connection any more: all it opened before has arrived. */
  answered(connection: string, now: number): PoolEffect[] {
    const entry = this.#entries.get(connection)
    if (entry === undefined || entry.phase !== 'leaving') return []
    this.#left(entry, now)
    return entry.leases === 0 ? [{ kind: 'close', connection }] : []
  }

  /** The peer said GOAWAY, or the connection failed under a new stream: nothing new goes over it. */
  peerLeft(connection: string, now: number): void {
    const entry = this.#entries.get(connection)
    if (entry !== undefined) entry.peerLeftAt ??= now
  }

  closed(connection: string): void {
    this.#entries.delete(connection)
  }

  /** What has fallen due. */
  tick(now: number): PoolEffect[] {
    const effects: PoolEffect[] = []
    for (const [connection, entry] of this.#entries) {
      if (this.#dueAt(entry) > now) continue
      if (entry.phase === 'open' && entry.peerLeftAt === undefined) {
        // Nobody says when it is not needed any more, so that is asked again when it would have idled once more.
        if (this.#isNeeded(connection)) entry.idleSince = now
        else effects.push(this.#leave(connection, entry, now))
      } else if (entry.phase === 'leaving') {
        effects.push(...this.answered(connection, now))
      } else {
        this.#left(entry, now)
        effects.push({ kind: 'close', connection })
      }
    }
    return effects
  }

  /** Asks again about a connection whose closing had to wait for what was no lease yet. */
  retryClose(connection: string, now: number): PoolEffect[] {
    const entry = this.#entries.get(connection)
    if (entry?.phase !== 'left' || entry.leases > 0) return []
    return [{ kind: this.overstays(connection, now) ? 'expel' : 'close', connection }]
  }

  /** Whether a stream that comes now is from a peer that goes on though it was told, long ago, that this connection closes. */
  overstays(connection: string, now: number): boolean {
    const entry = this.#entries.get(connection)
    return entry?.phase === 'left' && now >= entry.leftAt + this.#init.graceMs
  }

  /** When `tick` has something to do next; infinity when nothing is ahead. */
  nextTick(): number {
    let next = Number.POSITIVE_INFINITY
    for (const entry of this.#entries.values()) next = Math.min(next, this.#dueAt(entry))
    return next
  }

  #from(host: string | undefined): [string, Entry][] {
    return [...this.#entries].filter(([, entry]) => entry.host === host)
  }

  #maxFrom(host: string): number {
    return this.#init.maxFrom?.(host) ?? this.#init.maxConnections
  }

  #isFull(entries: readonly [string, Entry][], most: number): boolean {
    if (entries.length < most) return false
    return !entries.some(([connection, entry]) => entry.leases === 0 && !this.#isNeeded(connection))
  }

  #isNeeded(connection: string): boolean {
    return this.#init.isNeeded?.(connection) === true
  }

  #dueAt(entry: Entry): number {
    if (entry.phase === 'leaving') return entry.answerBy
    if (entry.leases > 0 || entry.phase === 'left') return Number.POSITIVE_INFINITY
    if (entry.peerLeftAt !== undefined) return Math.max(entry.peerLeftAt, entry.idleSince) + this.#init.goAwayTimeoutMs
    return this.#init.idleTimeoutMs === 0 ? Number.POSITIVE_INFINITY : entry.idleSince + this.#init.idleTimeoutMs
  }

  #left(entry: Entry, now: number): void {
    entry.phase = 'left'
    entry.leftAt = now
  }

  #leave(connection: string, entry: Entry, now: number): PoolEffect {
    entry.phase = 'leaving'
    entry.answerBy = now + this.#init.goAwayTimeoutMs
    return { kind: 'goaway', connection }
  }

  /**
   * Over a cap the connection that idled longest goes. Where none idles the one that came just now is refused: many
   * may have begun their handshakes while there was room for one.
   */
  #makeRoom(entries: readonly [string, Entry][], most: number, newcomer: string, now: number): PoolEffect[] {
    let staying = 0
    let longest: [string, Entry] | undefined
    for (const [connection, entry] of entries) {
      if (entry.leases === 0 && !isUsable(entry)) continue
      staying++
      if (connection === newcomer || entry.leases > 0 || this.#isNeeded(connection)) continue
      if (longest === undefined || entry.idleSince < longest[1].idleSince) longest = [connection, entry]
    }
    if (staying <= most) return []
    return [longest === undefined ? { kind: 'refuse', connection: newcomer } : this.#leave(...longest, now)]
  }
}

function isUsable(entry: Entry): boolean {
  return entry.phase === 'open' && entry.peerLeftAt === undefined
}
