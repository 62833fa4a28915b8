import { isIP } from 'node:net'
import { AddressRanges } from './address-ranges.ts'
import { parsePeerId } from './peer-address.ts'

/**
 * Who may connect, in and out. Entries are peer ids, IP addresses and address ranges (`10.0.0.0/8`, `2001:db8::/32`). What
 * is denied is refused; where peers are allowed by name, all other peers are refused, and likewise with addresses.
 */
export interface AccessInit {
  /** @default [] (everybody) */
  readonly allow?: readonly string[]
  /** @default [] (nobody) */
  readonly deny?: readonly string[]
}

interface Entries {
  readonly peers: ReadonlySet<string>
  readonly addresses: AddressRanges
}

export class AccessList {
  readonly #allow: Entries
  readonly #deny: Entries

  /** @throws UsageError with the entry that is none of these */
  constructor(init: AccessInit = {}) {
    this.#allow = parse(init.allow ?? [])
    this.#deny = parse(init.deny ?? [])
  }

  allowsPeer(peer: string): boolean {
    if (this.#deny.peers.has(peer)) return false
    return this.#allow.peers.size === 0 || this.#allow.peers.has(peer)
  }

  /** By IP address. Names are let pass: what they resolve to is looked at when the connection is there. */
  allowsHost(host: string): boolean {
    if (isIP(host) === 0) return true
    if (this.#deny.addresses.has(host)) return false
    return this.#allow.addresses.isEmpty || this.#allow.addresses.has(host)
  }
}

function parse(entries: readonly string[]): Entries {
  const addresses = new AddressRanges()
  const peers = new Set(entries.filter(entry => !addresses.add(entry)).map(parsePeerId))
  return { peers, addresses }
}
