import { RELAY_V2_HOP_CODEC } from '@libp2p/circuit-relay-v2'
import type { Connection } from '@libp2p/interface'
import { CancelledError, type Clock, TimeoutError } from '../base/index.ts'
import { raceAddresses } from './address-race.ts'
import { AnsweredAddresses } from './answered-addresses.ts'
import {
  ADDRESS_DIAL_TIMEOUT_MS,
  ANSWERED_ADDRESSES,
  ASKED_DIAL_SHARE,
  NEXT_ADDRESS_MS,
  NEXT_RELAY_MS,
  SILENT_AFTER_MS,
  SILENT_ADDRESSES,
  SILENT_MS,
  SILENT_RELAY_AFTER_MS
} from './constants.ts'
import type { NetworkCounters } from './counters.ts'
import { withDeadline } from './deadline.ts'
import { type DialPlace, DialPlaces } from './dial-places.ts'
import {
  NetworkClosedError,
  PeerUnreachableError,
  ProtocolNotSupportedError,
  type UnreachableReason
} from './errors.ts'
import type { AcquireOptions, Lease } from './lease.ts'
import { dialError } from './libp2p-errors.ts'
import { hostOf, networkOf, relayOf } from './peer-address.ts'
import { SilentAddresses } from './silent-addresses.ts'

/** Connects, and waits for no other dial. */
export interface Wire {
  dialAddress(address: string, signal: AbortSignal): Promise<Connection>
  /** At the addresses that are known of it. */
  dialPeer(peer: string, signal: AbortSignal): Promise<Connection>
}

export interface DialerComponents {
  readonly wire: Wire
  readonly clock: Clock
  readonly counters: NetworkCounters
  /** A lease on a connection to a relay, at its own address. */
  readonly acquireRelay: (address: string, options: AcquireOptions) => Promise<Lease>
  /** Another connection would be one too many. */
  readonly isFull: () => boolean
  /** Why this peer is not dialled, whatever its addresses. */
  readonly refusal: (peer: string) => 'self' | 'denied' | undefined
}

export interface DialOptions {
  readonly limitMs: number
  readonly signal?: AbortSignal | undefined
  /** See CallOptions. */
  readonly askedBy?: string | undefined
}

interface Dial {
  readonly peer: string
  readonly askedBy: string | undefined
  /** What one of its addresses may take, ms. */
  readonly addressMs: number
  /** Those who wait for it; with the last of them it ends. */
  waiting: number
  readonly giveUp: AbortController
  /** Part of it had to make room for others. */
  evicted: boolean
}

/**
 * Dials peers: directly where an address says how, else through a relay. However many ask at once for the same addresses,
 * one dials; who asks for a peer by others waits for nobody, since those may be of somebody who wants him to wait. This node
 * itself joins no dial for others, which is shorter and leaves out what was silent; they join its own. The
 * connection to a relay is the pool's, so that it was dialled at the address that was given and at no other, and it stays
 * for as long as what goes through it.
 */
export class Dialer {
  readonly #components: DialerComponents
  readonly #maxDials: number
  readonly #dials = new Map<string, Dial & { readonly result: Promise<Connection> }>()
  /** Addresses that are tried for the sake of others. */
  readonly #asked = new DialPlaces()
  readonly #silent: SilentAddresses
  readonly #answered = new AnsweredAddresses({ most: ANSWERED_ADDRESSES })
  /** Dials for this node's own sake. */
  #own = 0

  constructor(components: DialerComponents, init: { readonly maxDials: number }) {
    this.#components = components
    this.#maxDials = init.maxDials
    this.#silent = new SilentAddresses(components, { forMs: SILENT_MS, most: SILENT_ADDRESSES })
  }

  /** @throws PeerUnreachableError, TimeoutError, CancelledError, NetworkClosedError */
  async dial(peer: string, addresses: readonly string[], options: DialOptions): Promise<Connection> {
    const { limitMs, signal, askedBy } = options
    const { clock } = this.#components
    if (signal?.aborted === true) throw new CancelledError('dial', { cause: signal.reason })
    const asked = [peer, ...addresses.toSorted()].join(' ')
    const own = `own ${asked}`
    const key = askedBy === undefined || this.#dials.has(own) ? own : asked
    const dial = this.#dials.get(key) ?? this.#begin(key, peer, addresses, options)
    dial.waiting++
    try {
      return await withDeadline({ phase: 'dial', limitMs, signal, clock }, () => dial.result)
    } catch (error) {
      // It made room for somebody else's sake than of who waits here.
      const again = dial.evicted && dial.askedBy !== askedBy && error instanceof PeerUnreachableError
      if (again) return this.dial(peer, addresses, options)
      throw error
    } finally {
      if (--dial.waiting === 0) this.#end(key, dial)
    }
  }

  /** See Network. */
  hasAnswered(address: string): boolean {
    return this.#answered.has(address)
  }

  /** Gives up all dials. */
  close(): void {
    for (const [key, dial] of this.#dials) this.#end(key, dial, new NetworkClosedError())
  }

  /** Nobody joins it any more. */
  #end(key: string, dial: Dial, reason?: Error): void {
    if (this.#dials.get(key) === dial) this.#dials.delete(key)
    dial.giveUp.abort(reason)
  }

  #begin(
    key: string,
    peer: string,
    addresses: readonly string[],
    { limitMs, askedBy }: DialOptions
  ): Dial & { readonly result: Promise<Connection> } {
    const { counters } = this.#components
    const refusal = this.#refusal(peer, addresses, askedBy)
    if (refusal !== undefined) {
      counters.dialsFailed[refusal]++
      throw new PeerUnreachableError(peer, addresses, refusal)
    }
    counters.dialsStarted++
    if (askedBy === undefined) this.#own++
    const addressMs = addresses.length === 1 ? limitMs : Math.max(ADDRESS_DIAL_TIMEOUT_MS, limitMs / 2)
    const dial: Dial = { peer, askedBy, addressMs, waiting: 0, giveUp: new AbortController(), evicted: false }
    const result = this.#connect(dial, addresses, limitMs)
      .catch((error: unknown) => {
        if (dial.giveUp.signal.reason instanceof NetworkClosedError) throw dial.giveUp.signal.reason
        const failure = dialError(peer, addresses, error)
        if (failure instanceof PeerUnreachableError) counters.dialsFailed[failure.reason]++
        throw failure
      })
      .finally(() => {
        if (askedBy === undefined) this.#own--
        this.#end(key, dial)
      })
    const begun = Object.assign(dial, { result })
    this.#dials.set(key, begun)
    return begun
  }

  /** Why a dial is not begun. */
  #refusal(peer: string, addresses: readonly string[], askedBy: string | undefined): UnreachableReason | undefined {
    const { counters, isFull, refusal } = this.#components
    const refused = refusal(peer)
    if (refused !== undefined) return refused
    if (isFull()) return 'too-many'
    if (askedBy === undefined) return this.#own + this.#asked.size >= this.#maxDials ? 'too-many' : undefined
    if (this.#own >= this.#maxDials) return 'too-many'
    if (addresses.some(address => !this.#silent.has(address))) return undefined
    counters.dialsSpared++
    return 'timeout'
  }

  #connect(dial: Dial, addresses: readonly string[], limitMs: number): Promise<Connection> {
    const { wire, clock } = this.#components
    const promising = addresses.filter(address => dial.askedBy === undefined || !this.#silent.has(address))
    const direct = promising.filter(address => relayOf(address) === undefined)
    const relayed = promising.filter(address => relayOf(address) !== undefined)
    const deadline = { phase: 'dial', clock }
    return withDeadline({ ...deadline, limitMs, signal: dial.giveUp.signal }, async signal => {
      if (addresses.length === 0) return wire.dialPeer(dial.peer, signal)
      if (relayed.length === 0) return this.#race(dial, direct, NEXT_ADDRESS_MS, signal)
      const failures: unknown[] = []
      // Addresses that swallow packets leave time for the relays.
      const first = { ...deadline, limitMs: limitMs / 2, signal }
      try {
        if (direct.length > 0) return await withDeadline(first, half => this.#race(dial, direct, NEXT_ADDRESS_MS, half))
      } catch (failure) {
        if (signal.aborted) throw failure
        failures.push(failure)
      }
      return this.#race(dial, relayed, NEXT_RELAY_MS, signal).catch((failure: unknown) => {
        throw new AggregateError(
          [...failures, failure],
          direct.length > 0 ? 'neither directly nor through a relay' : 'not through a relay'
        )
      })
    })
  }

  #race(dial: Dial, addresses: readonly string[], staggerMs: number, signal: AbortSignal): Promise<Connection> {
    const { clock } = this.#components
    const attempts = addresses.map(address => (either: AbortSignal) => this.#try(dial, address, either))
    return raceAddresses(attempts, { staggerMs, clock, signal })
  }

  async #try(dial: Dial, address: string, signal: AbortSignal): Promise<Connection> {
    const { wire, clock, counters } = this.#components
    const evicted = new AbortController()
    const evict = (): void => {
      counters.dialsEvicted++
      dial.evicted = true
      evicted.abort()
    }
    const place = this.#takePlace(dial.askedBy, address, evict)
    const either = AbortSignal.any([signal, evicted.signal])
    const began = clock.now()
    try {
      const deadline = { phase: 'dial', limitMs: dial.addressMs, signal: either, clock }
      const connection = await withDeadline(deadline, within =>
        relayOf(address) === undefined
          ? wire.dialAddress(address, within)
          : this.#dialRelayed(address, { signal: within, askedBy: dial.askedBy })
      )
      this.#silent.delete(address)
      this.#answered.add(address)
      return connection
    } catch (error) {
      if (evicted.signal.aborted) throw new PeerUnreachableError(dial.peer, [address], 'too-many', { cause: error })
      const silentAfterMs = relayOf(address) === undefined ? SILENT_AFTER_MS : SILENT_RELAY_AFTER_MS
      if (isTimeout(error) && clock.now() - began >= silentAfterMs) this.#silent.add(address)
      throw error
    } finally {
      if (place !== undefined) this.#asked.free(place)
    }
  }

  #takePlace(asker: string | undefined, address: string, evict: () => void): DialPlace | undefined {
    if (asker === undefined) return undefined
    const place = { asker, host: networkOf(hostOf(address)), evict }
    const share = Math.ceil(this.#maxDials * ASKED_DIAL_SHARE)
    this.#asked.take(place, Math.min(share, this.#maxDials - this.#own))
    return place
  }

  async #dialRelayed(address: string, options: AcquireOptions & { readonly signal: AbortSignal }): Promise<Connection> {
    const { wire, counters, acquireRelay } = this.#components
    const lease = await acquireRelay(relayOf(address) ?? '', options)
    try {
      const connection = await wire.dialAddress(address, options.signal)
      counters.dialsRelayed++
      connection.addEventListener('close', () => lease[Symbol.dispose](), { once: true })
      if (connection.status !== 'open') lease[Symbol.dispose]()
      return connection
    } catch (error) {
      lease[Symbol.dispose]()
      const relay = lease.connection.remotePeer.toString()
      if (!(error instanceof Error && error.name === 'UnsupportedProtocolError')) throw error
      throw new ProtocolNotSupportedError(relay, RELAY_V2_HOP_CODEC, { cause: error })
    }
  }
}

/** It, or what it was given up for, took too long. */
function isTimeout(error: unknown): boolean {
  return error instanceof TimeoutError || (error instanceof CancelledError && isTimeout(error.cause))
}
