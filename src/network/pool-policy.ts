/** What the pool is to do to a connection. */
export interface PoolEffect {
  /** `refuse` ends at once what came when there was no room. */
  readonly kind: 'goaway' | 'close' | 'refuse'
  readonly connection: string
}

export interface PoolPolicyInit {
  /** How long a connection without leases stays; 0 is for ever. */
  readonly idleTimeoutMs: number
  /** How long a peer may take to answer GOAWAY, and to close after its own. */
  readonly goAwayTimeoutMs: number
  readonly maxConnections: number
  /** Whether something uses a connection that takes no lease: it does not count as idle then. @default nothing does */
  readonly isNeeded?: (connection: string) => boolean
}

interface Entry {
  readonly peer: string
  /** It goes through a relay. */
  readonly relayed: boolean
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
 *                                  or room needed             or too late        with the last lease
 *                                     effect: goaway
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
      if (!entry.relayed) return connection
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
    if (this.#entries.size < this.#init.maxConnections) return false
    return ![...this.#entries].some(([connection, entry]) => entry.leases === 0 && !this.#isNeeded(connection))
  }

  opened(connection: string, peer: string, now: number, relayed = false): PoolEffect[] {
    this.#entries.set(connection, {
      peer,
      relayed,
      leases: 0,
      idleSince: now,
      phase: 'open',
      answerBy: Number.POSITIVE_INFINITY,
      peerLeftAt: undefined
    })
    return this.#makeRoom(connection, now)
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
  answered(connection: string): PoolEffect[] {
    const entry = this.#entries.get(connection)
    if (entry === undefined || entry.phase !== 'leaving') return []
    entry.phase = 'left'
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
        effects.push(...this.answered(connection))
      } else {
        entry.phase = 'left'
        effects.push({ kind: 'close', connection })
      }
    }
    return effects
  }

  /** Asks again about a connection whose closing had to wait for what was no lease yet. */
  retryClose(connection: string): PoolEffect[] {
    const entry = this.#entries.get(connection)
    return entry?.phase === 'left' && entry.leases === 0 ? [{ kind: 'close', connection }] : []
  }

  /** When `tick` has something to do next; infinity when nothing is ahead. */
  nextTick(): number {
    let next = Number.POSITIVE_INFINITY
    for (const entry of this.#entries.values()) next = Math.min(next, this.#dueAt(entry))
    return next
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

  #leave(connection: string, entry: Entry, now: number): PoolEffect {
    entry.phase = 'leaving'
    entry.answerBy = now + this.#init.goAwayTimeoutMs
    return { kind: 'goaway', connection }
  }

  /**
   * Over the cap the connection that idled longest goes. Where none idles the one that came just now is refused: many
   * may have begun their handshakes while there was room for one.
   */
  #makeRoom(newcomer: string, now: number): PoolEffect[] {
    let staying = 0
    let longest: [string, Entry] | undefined
    for (const [connection, entry] of this.#entries) {
      if (entry.leases === 0 && !isUsable(entry)) continue
      staying++
      if (connection === newcomer || entry.leases > 0 || this.#isNeeded(connection)) continue
      if (longest === undefined || entry.idleSince < longest[1].idleSince) longest = [connection, entry]
    }
    if (staying <= this.#init.maxConnections) return []
    return [longest === undefined ? { kind: 'refuse', connection: newcomer } : this.#leave(...longest, now)]
  }
}

function isUsable(entry: Entry): boolean {
  return entry.phase === 'open' && entry.peerLeftAt === undefined
}
