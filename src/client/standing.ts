import type { AndthenError, Clock } from '../base/index.ts'
import { busyFor } from './busy.ts'
import { APART_MS, BUSY_MS, EXCLUDED_MS } from './constants.ts'
import { RouteRefusedError } from './errors.ts'
import { Penalty } from './penalty.ts'

/** Codes of refusals that say nothing against the server: what it had of a session is gone, or is not where it was. */
const passing: ReadonlySet<string> = new Set(['GONE', 'EPOCH', 'BEHIND', 'GAP'])
/** After the second mismatch with different neighbours, the one that was there both times is the likelier liar. */
const STRIKES = 2

/** What is held against servers: who was lost of late, who has no room, who is at fault, who was proven to lie. */
export class Standing {
  readonly #components: { readonly clock: Clock; readonly random: () => number }
  readonly #busyUntil = new Map<string, number>()
  readonly #penalties = new Map<string, Penalty>()
  readonly #faulty = new Set<string>()
  readonly #excludedUntil = new Map<string, number>()
  readonly #routelessUntil = new Map<string, number>()
  readonly #strikes = new Map<string, number>()
  readonly #relayed = new Set<string>()
  readonly #apartUntil = new Map<string, number>()
  readonly #liars = new Set<string>()

  /** @param components.random from 0 to 1: so that clients that were turned away together do not come back together */
  constructor(components: { clock: Clock; random: () => number }) {
    this.#components = components
  }

  /**
   * A server failed. Want of room is nothing against it: it is asked again when it says, more or less. That it was lost may
   * be the network's doing: others are preferred for a while. Who takes on no route is left none for a minute, and used all
   * the same. Who breaks the protocol, or refuses what it announced, is
   * not used at all for a minute, and afterwards where no other will do.
   */
  failed(peerId: string, error: AndthenError): void {
    const { clock, random } = this.#components
    const busyMs = busyFor(error)
    if (busyMs !== null) {
      const waitMs = Math.min(BUSY_MS.most, Math.max(BUSY_MS.least, busyMs)) * (0.5 + random())
      this.#busyUntil.set(peerId, clock.now() + waitMs)
    } else if (error instanceof RouteRefusedError) {
      this.#routelessUntil.set(peerId, clock.now() + EXCLUDED_MS)
    } else if (error.retryable || passing.has(error.code)) {
      const penalty = this.#penalties.get(peerId) ?? new Penalty(this.#components)
      this.#penalties.set(peerId, penalty)
      penalty.lost()
    } else {
      this.#faulty.add(peerId)
      this.#excludedUntil.set(peerId, clock.now() + EXCLUDED_MS)
    }
  }

  /** A pass went through this server, and what it did was proven: its losses weigh less. */
  worked(peerId: string): void {
    this.#penalties.get(peerId)?.worked()
  }

  /** What the first pushes to the second is no good. */
  relay(upstream: string, downstream: string): void {
    this.#relayed.add(edge(upstream, downstream))
  }

  /** A route that was left to the first did not get to the second, which may be there for others. */
  apart(first: string, server: string): void {
    this.#apartUntil.set(edge(first, server), this.#components.clock.now() + APART_MS)
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

  /** No route to the second is left to the first, for now. */
  isApart(first: string, server: string): boolean {
    return (this.#apartUntil.get(edge(first, server)) ?? 0) > this.#components.clock.now()
  }

  /** It did not take on a route, and is left none for now. */
  refusesRoutes(peerId: string): boolean {
    return (this.#routelessUntil.get(peerId) ?? 0) > this.#components.clock.now()
  }

  /** Not to be used at all, for now. */
  isExcluded(peerId: string): boolean {
    return (this.#excludedUntil.get(peerId) ?? 0) > this.#components.clock.now()
  }

  /** How long it is to be left alone for want of room, ms; 0 where it is not. */
  busyMs(peerId: string): number {
    return Math.max(0, (this.#busyUntil.get(peerId) ?? 0) - this.#components.clock.now())
  }

  /** How long it is to be left alone because it was lost again and again, ms; 0 where it is not. */
  backOffMs(peerId: string): number {
    return this.#penalties.get(peerId)?.waitMs ?? 0
  }

  /** Used only where no other server will do. */
  isDistrusted(peerId: string): boolean {
    return this.#faulty.has(peerId) || (this.#strikes.get(peerId) ?? 0) >= STRIKES
  }

  /** How often it was lost, as far as that is not forgotten: among servers that will do, the one with the least is used. */
  suspicion(peerId: string): number {
    return this.#penalties.get(peerId)?.suspicion ?? 0
  }
}

function edge(upstream: string, downstream: string): string {
  return `${upstream} ${downstream}`
}
