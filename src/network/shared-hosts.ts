import type { Connection } from '@libp2p/interface'
import { UsageError } from '../base/index.ts'
import { AddressRanges } from './address-ranges.ts'
import { hostOf, relayOf, sourceOf } from './peer-address.ts'
import type { Asker } from './peer-limiter.ts'

/**
 * Addresses that stand for many, as a load balancer's or a router's do. What comes from there is not one host's: each peer
 * counts for itself, as behind a relay, once a handshake has shown who it is.
 */
export class SharedHosts {
  readonly #ranges = new AddressRanges()

  /**
   * @param entries IP addresses and ranges
   * @throws UsageError with the entry that is neither
   */
  constructor(entries: readonly string[] = []) {
    for (const entry of entries)
      if (!this.#ranges.add(entry))
        throw new UsageError(
          `"${entry}" is not an address or a range of addresses: give one as 203.0.113.7 or 10.0.0.0/8`
        )
  }

  /** Whether many come from there. Of what comes through a relay, each counts for itself anyway. */
  has(address: string): boolean {
    return !this.#ranges.isEmpty && relayOf(address) === undefined && this.#ranges.has(hostOf(address))
  }

  /** Whose limits count for what comes over a connection: its host's, or where that is shared its peer's. */
  sourceOf({ remoteAddr, remotePeer }: Pick<Connection, 'remoteAddr' | 'remotePeer'>): string {
    const address = remoteAddr.toString()
    return this.has(address) ? `/p2p/${remotePeer.toString()}` : sourceOf(address)
  }
  /** Who asks for what comes over a connection. */
  askerOf(connection: Pick<Connection, 'remoteAddr' | 'remotePeer'>): Asker {
    return { peer: connection.remotePeer.toString(), host: this.sourceOf(connection) }
  }
}
