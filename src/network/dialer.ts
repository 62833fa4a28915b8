import { RELAY_V2_HOP_CODEC } from '@libp2p/circuit-relay-v2'
import type { Connection, Libp2p } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import type { NetworkCounters } from './counters.ts'
import { withDeadline } from './deadline.ts'
import { PeerUnreachableError, ProtocolNotSupportedError } from './errors.ts'
import { dialError } from './libp2p-errors.ts'
import type { AcquireOptions, Lease } from './lease.ts'
import { relayOf } from './peer-address.ts'

export interface DialerComponents {
  readonly libp2p: Pick<Libp2p, 'dial'>
  readonly counters: NetworkCounters
  /** A lease on a connection to a relay, at its own address. */
  readonly acquireRelay: (address: string, options: AcquireOptions) => Promise<Lease>
  /** Another connection would be one too many. */
  readonly isFull: () => boolean
}

interface Dial {
  readonly addresses: readonly string[]
  readonly result: Promise<Connection>
}

/**
 * Dials peers, each once however many ask at once: directly where an address says how, else through a relay. The
 * connection to the relay is the pool's, so that it was dialled at the address that was given and at no other, and it
 * stays for as long as what goes through it.
 */
export class Dialer {
  readonly #components: DialerComponents
  readonly #maxDials: number
  readonly #dials = new Map<string, Dial>()

  constructor(components: DialerComponents, init: { readonly maxDials: number }) {
    this.#components = components
    this.#maxDials = init.maxDials
  }

  dial(peer: string, addresses: readonly string[], limitMs: number): Promise<Connection> {
    const pending = this.#dials.get(peer)
    if (pending !== undefined) {
      const covered = addresses.every(address => pending.addresses.includes(address))
      return covered ? pending.result : pending.result.catch(() => this.dial(peer, addresses, limitMs))
    }
    const { counters, isFull } = this.#components
    if (this.#dials.size >= this.#maxDials || isFull()) {
      counters.dialsFailed['too-many']++
      return Promise.reject(new PeerUnreachableError(peer, addresses, 'too-many'))
    }
    counters.dialsStarted++
    const result = this.#dial(peer, addresses, limitMs)
      .catch((error: unknown) => {
        const failure = dialError(peer, addresses, error)
        if (failure instanceof PeerUnreachableError) counters.dialsFailed[failure.reason]++
        throw failure
      })
      .finally(() => this.#dials.delete(peer))
    this.#dials.set(peer, { addresses, result })
    return result
  }

  #dial(peer: string, addresses: readonly string[], limitMs: number): Promise<Connection> {
    const direct = addresses.filter(address => relayOf(address) === undefined)
    const relayed = addresses.filter(address => relayOf(address) !== undefined)
    const dialDirect = (signal: AbortSignal): Promise<Connection> => this.#dialDirect(peer, direct, signal)
    return withDeadline({ phase: 'dial', limitMs }, async signal => {
      if (relayed.length === 0) return dialDirect(signal)
      const failures: unknown[] = []
      // Addresses that swallow packets leave time for the relays.
      const first = { phase: 'dial', limitMs: limitMs / 2, signal }
      const ways = [
        ...(direct.length === 0 ? [] : [() => withDeadline(first, dialDirect)]),
        ...relayed.map(address => () => this.#dialRelayed(address, signal))
      ]
      for (const way of ways) {
        try {
          return await way()
        } catch (failure) {
          if (signal.aborted) throw failure
          failures.push(failure)
        }
      }
      throw new AggregateError(failures, 'neither directly nor through a relay')
    })
  }

  #dialDirect(peer: string, addresses: readonly string[], signal: AbortSignal): Promise<Connection> {
    const target = addresses.length === 0 ? peerIdFromString(peer) : addresses.map(address => multiaddr(address))
    return this.#components.libp2p.dial(target, { signal, force: true })
  }

  async #dialRelayed(address: string, signal: AbortSignal): Promise<Connection> {
    const { libp2p, counters, acquireRelay } = this.#components
    const lease = await acquireRelay(relayOf(address) ?? '', { signal })
    try {
      const connection = await libp2p.dial(multiaddr(address), { signal, force: true })
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
