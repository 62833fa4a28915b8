import type { AndthenError, Clock } from '../base/index.ts'
import { busyFor } from './busy.ts'
import { BUSY_MS, EXCLUDED_MS } from './constants.ts'

/** Codes of what is not the server's fault, or may pass: the server is used again where no other will do. */
const passing: ReadonlySet<string> = new Set([
  'CONNECTION_LOST',
  'SESSION_TERMINATED',
  'GONE',
  'EPOCH',
  'BEHIND',
  'GAP'
])
/** After the second mismatch with different neighbours, the one that was there both times is the likelier liar. */
const STRIKES = 2

/** What is held against servers: who failed of late, who has no room, who disagreed with whom, who was proven to lie. */
export class Standing {
  readonly #clock: Clock
  readonly #random: () => number
  readonly #busyUntil = new Map<string, number>()
  readonly #suspects = new Set<string>()
  readonly #excludedUntil = new Map<string, number>()
  readonly #strikes = new Map<string, number>()
  readonly #relayed = new Set<string>()
  readonly #liars = new Set<string>()

  /** @param components.random from 0 to 1: so that clients that were turned away together do not come back together */
  constructor(components: { clock: Clock; random: () => number }) {
    this.#clock = components.clock
    this.#random = components.random
  }

  /**
   * A server failed. A lost connection is forgiven once; what failed otherwise is left alone for a minute. That it has no
   * room is nothing against it: it is asked again when it says, more or less.
   */
  failed(peerId: string, error: AndthenError): void {
    const busyMs = busyFor(error)
    if (busyMs !== null) {
      const waitMs = Math.min(BUSY_MS.most, Math.max(BUSY_MS.least, busyMs)) * (0.5 + this.#random())
      this.#busyUntil.set(peerId, this.#clock.now() + waitMs)
      return
    }
    const forgiven = passing.has(error.code) && !this.#suspects.has(peerId)
    this.#suspects.add(peerId)
    if (forgiven) return
    const until = this.#clock.now() + EXCLUDED_MS
    this.#excludedUntil.set(peerId, Math.max(until, this.#excludedUntil.get(peerId) ?? 0))
  }

  /** What the first pushes to the second is no good. */
  relay(upstream: string, downstream: string): void {
    this.#relayed.add(edge(upstream, downstream))
  }

  /** One of these two lies about what the first pushed to the second; which one cannot be told. */
  mismatch(upstream: string, downstream: string): void {
    this.relay(upstream, downstream)
    for (const peerId of [upstream, downstream]) this.#strikes.set(peerId, (this.#strikes.get(peerId) ?? 0) + 1)
  }

  /** A proof says that this server lies to its neighbours: it has none any more, and serves where nobody else can. */
  ban(peerId: string): void {
    this.#liars.add(peerId)
  }

  isBanned(peerId: string): boolean {
    return this.#liars.has(peerId)
  }

  /** Hidden states go over the client between these two. */
  isRelayed(upstream: string, downstream: string): boolean {
    return (
      [upstream, downstream].some(peerId => this.#liars.has(peerId)) || this.#relayed.has(edge(upstream, downstream))
    )
  }

  isExcluded(peerId: string): boolean {
    return (this.#excludedUntil.get(peerId) ?? 0) > this.#clock.now()
  }

  /** How long it is to be left alone for want of room, ms; 0 where it is not. */
  busyMs(peerId: string): number {
    return Math.max(0, (this.#busyUntil.get(peerId) ?? 0) - this.#clock.now())
  }

  /** Used only where no other server will do. */
  isSuspect(peerId: string): boolean {
    return this.#suspects.has(peerId) || (this.#strikes.get(peerId) ?? 0) >= STRIKES
  }
}

function edge(upstream: string, downstream: string): string {
  return `${upstream} ${downstream}`
}
