import { BlockList, isIP } from 'node:net'
import { UsageError } from '../base/index.ts'
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
  readonly addresses: BlockList
  readonly hasAddresses: boolean
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
    const version = isIP(host)
    if (version === 0) return true
    const family = version === 4 ? 'ipv4' : 'ipv6'
    if (this.#deny.addresses.check(host, family)) return false
    return !this.#allow.hasAddresses || this.#allow.addresses.check(host, family)
  }
}

function parse(entries: readonly string[]): Entries {
  const peers = new Set<string>()
  const addresses = new BlockList()
  for (const entry of entries) {
    const [network = '', prefix, ...rest] = entry.split('/')
    const version = isIP(network)
    if (version === 0) {
      peers.add(parsePeerId(entry))
      continue
    }
    const widest = version === 4 ? 32 : 128
    const length = prefix === undefined ? widest : Number(prefix)
    if (rest.length > 0 || prefix === '' || !Number.isInteger(length) || length < 0 || length > widest) {
      throw new UsageError(`"${entry}" is not an address range: give one as 10.0.0.0/8, with a prefix up to ${widest}`)
    }
    addresses.addSubnet(network, length, version === 4 ? 'ipv4' : 'ipv6')
  }
  return { peers, addresses, hasAddresses: addresses.rules.length > 0 }
}
