import { type CircuitRelayService, RELAY_V2_HOP_CODEC } from '@libp2p/circuit-relay-v2'
import type { Libp2p, PeerId } from '@libp2p/interface'
import { sourceOf } from './peer-address.ts'

export interface RelaySharesComponents {
  readonly libp2p: Pick<Libp2p, 'getConnections'>
  /** Who may be reached through this node, and where they asked from. */
  readonly places: Pick<CircuitRelayService['reservations'], 'has' | 'values'>
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
    const { places } = this.#components
    if (places.has(peer)) return false
    const taken = [...places.values()].map(({ addr }) => sourceOf(addr.toString()))
    return this.#hostsOf(peer).some(host => count(taken, host) >= this.#init.placesFrom(host))
  }

  /** Whether this peer may open no connection through this node; the stream on which it asks is there already. */
  refusesConnection(peer: PeerId): boolean {
    const open = this.#components.libp2p.getConnections().flatMap(({ streams, remoteAddr }) => {
      const asked = streams.filter(
        ({ protocol, direction }) => protocol === RELAY_V2_HOP_CODEC && direction === 'inbound'
      )
      return asked.map(() => sourceOf(remoteAddr.toString()))
    })
    return this.#hostsOf(peer).some(host => count(open, host) > this.#init.connectionsFrom(host))
  }

  /** libp2p does not say which of a peer's connections it asks on. */
  #hostsOf(peer: PeerId): string[] {
    const { libp2p } = this.#components
    return [...new Set(libp2p.getConnections(peer).map(({ remoteAddr }) => sourceOf(remoteAddr.toString())))]
  }
}

function count(hosts: readonly string[], host: string): number {
  return hosts.filter(other => other === host).length
}
