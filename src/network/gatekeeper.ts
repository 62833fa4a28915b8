import type { ConnectionGater, MultiaddrConnection, PeerId } from '@libp2p/interface'
import type { Clock } from '../base/index.ts'
import type { AccessList } from './access-list.ts'
import type { NetworkCounters } from './counters.ts'
import { hostOf, relayOf, sourceOf } from './peer-address.ts'
import type { RelayShares } from './relay-shares.ts'
import type { SharedHosts } from './shared-hosts.ts'
import { RateLimiter } from './rate-limiter.ts'
import type { RateLimit } from './token-buckets.ts'

export interface GatekeeperComponents {
  readonly access: AccessList
  readonly shared: SharedHosts
  readonly clock: Clock
  readonly counters: NetworkCounters
}

/** Refuses connections, as early as what is known of the other end allows: by address before a handshake, by peer after. */
export class Gatekeeper implements ConnectionGater {
  /** Set by whoever counts connections. */
  isFull: () => boolean = () => false
  isFullFrom: (host: string) => boolean = () => false
  /** Set by a node that relays. */
  relayShares: RelayShares | undefined
  readonly #components: GatekeeperComponents
  readonly #dials: RateLimiter

  constructor(components: GatekeeperComponents, init: { readonly dialLimit: RateLimit }) {
    this.#components = components
    this.#dials = new RateLimiter(components, init.dialLimit)
  }

  /** What was let in from this host, as `SharedHosts` tells it, counts for so many dials more. */
  charge(host: string, dials: number): void {
    this.#dials.charge(host, dials)
  }

  denyDialPeer(peer: PeerId): boolean {
    return !this.#components.access.allowsPeer(peer.toString())
  }

  denyInboundConnection(connection: MultiaddrConnection): boolean {
    const { access, counters, shared } = this.#components
    const address = connection.remoteAddr.toString()
    // Where many share an address, nobody knows yet whose limits count.
    const source = shared.has(address) ? undefined : sourceOf(address)
    if (!access.allowsHost(hostOf(address))) counters.refusedByAddress++
    else if (source !== undefined && this.#dials.take(source) > 0) counters.refusedByRate++
    else if (this.isFull()) counters.refusedFull++
    else if (source !== undefined && relayOf(address) === undefined && this.isFullFrom(source)) counters.refusedByHost++
    else return false
    return true
  }

  denyOutboundConnection(_peer: PeerId, connection: MultiaddrConnection): boolean {
    return !this.#allowsWire(connection)
  }

  denyInboundRelayedConnection(_relay: PeerId, peer: PeerId): boolean {
    return this.#refusesPeer(peer)
  }

  denyInboundRelayReservation(peer: PeerId): boolean {
    const refused = this.relayShares?.refusesPlace(peer) === true
    if (refused) this.#components.counters.relayPlacesRefused++
    return refused
  }

  denyOutboundRelayedConnection(peer: PeerId): boolean {
    const refused = this.relayShares?.refusesConnection(peer) === true
    if (refused) this.#components.counters.relayConnectionsRefused++
    return refused
  }

  denyInboundEncryptedConnection(peer: PeerId, { remoteAddr }: MultiaddrConnection): boolean {
    if (this.#refusesPeer(peer)) return true
    const { counters, shared } = this.#components
    if (!shared.has(remoteAddr.toString())) return false
    const source = shared.sourceOf({ remoteAddr, remotePeer: peer })
    if (this.#dials.take(source) > 0) counters.refusedByRate++
    else if (this.isFullFrom(source)) counters.refusedByHost++
    else return false
    return true
  }

  denyOutboundEncryptedConnection(peer: PeerId, connection: MultiaddrConnection): boolean {
    // Of an address without a peer id libp2p did not ask before the handshake.
    return !this.#allowsWire(connection) || this.#refusesPeer(peer)
  }

  #allowsWire(connection: MultiaddrConnection): boolean {
    // The socket knows the address that a name resolved to.
    const socket = 'socket' in connection ? (connection.socket as { remoteAddress?: string }) : {}
    return this.#components.access.allowsHost(socket.remoteAddress ?? hostOf(connection.remoteAddr.toString()))
  }

  #refusesPeer(peer: PeerId): boolean {
    if (this.#components.access.allowsPeer(peer.toString())) return false
    this.#components.counters.refusedByPeer++
    return true
  }
}
