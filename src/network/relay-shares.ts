import { type CircuitRelayService, RELAY_V2_HOP_CODEC } from '@libp2p/circuit-relay-v2'
import type { Libp2p, PeerId } from '@libp2p/interface'
import type { SharedHosts } from './shared-hosts.ts'

export interface RelaySharesComponents {
  readonly libp2p: Pick<Libp2p, 'getConnections'>
  /** Who may be reached through this node, and where they asked from. */
  readonly places: Pick<CircuitRelayService['reservations'], 'has' | 'entries'>
  readonly shared: SharedHosts
}

export interface RelaySharesInit {
  /** Places that one host may have. */
  readonly placesFrom: (host: string) => number
  /** Connections through this node that one host may have. */
  readonly connectionsFrom: (host: string) => number
}

/**
 * What one host may have of a relay, however many ids it shows: libp2p bounds places over all, and connections for each
 * connection that they go over.
 */
export class RelayShares {
  readonly #components: RelaySharesComponents
  readonly #init: RelaySharesInit

  constructor(components: RelaySharesComponents, init: RelaySharesInit) {
    this.#components = components
    this.#init = init
  }

  /** Whether this peer gets no place; one that has a place renews it. */
  refusesPlace(peer: PeerId): boolean {
    const { places, shared } = this.#components
    if (places.has(peer)) return false
    const taken = [...places.entries()].map(([remotePeer, { addr }]) =>
      shared.sourceOf({ remoteAddr: addr, remotePeer })
    )
    return this.#hostsOf(peer).some(host => count(taken, host) >= this.#init.placesFrom(host))
  }

  /** Whether this peer may open no connection through this node; the stream on which it asks is there already. */
  refusesConnection(peer: PeerId): boolean {
    const { libp2p, shared } = this.#components
    const open = libp2p.getConnections().flatMap(connection => {
      const asked = connection.streams.filter(
        ({ protocol, direction }) => protocol === RELAY_V2_HOP_CODEC && direction === 'inbound'
      )
      return asked.map(() => shared.sourceOf(connection))
    })
    return this.#hostsOf(peer).some(host => count(open, host) > this.#init.connectionsFrom(host))
  }

  /** libp2p does not say which of a peer's connections it asks on. */
  #hostsOf(peer: PeerId): string[] {
    const { libp2p, shared } = this.#components
    return [...new Set(libp2p.getConnections(peer).map(connection => shared.sourceOf(connection)))]
  }
}

function count(hosts: readonly string[], host: string): number {
  return hosts.filter(other => other === host).length
}
