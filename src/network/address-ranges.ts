import { BlockList, isIP } from 'node:net'
import { UsageError } from '../base/index.ts'

/** IP addresses, named one by one or by ranges such as `10.0.0.0/8` and `2001:db8::/32`. */
export class AddressRanges {
  readonly #list = new BlockList()

  get isEmpty(): boolean {
    return this.#list.rules.length === 0
  }

  /** False where the entry does not begin with an address at all. @throws UsageError for a range that is none */
  add(entry: string): boolean {
    const [network = '', prefix, ...rest] = entry.split('/')
    const version = isIP(network)
    if (version === 0) return false
    const widest = version === 4 ? 32 : 128
    const length = prefix === undefined ? widest : Number(prefix)
    if (rest.length > 0 || prefix === '' || !Number.isInteger(length) || length < 0 || length > widest) {
      throw new UsageError(`"${entry}" is not an address range: give one as 10.0.0.0/8, with a prefix up to ${widest}`)
    }
    this.#list.addSubnet(network, length, version === 4 ? 'ipv4' : 'ipv6')
    return true
  }

  /** @param host an IP address; a name is in no range */
  has(host: string): boolean {
    const version = isIP(host)
    // An IPv4 address in IPv6's clothes (::ffff:10.0.0.1) is checked against the IPv4 ranges by BlockList itself.
    return version !== 0 && this.#list.check(host, version === 4 ? 'ipv4' : 'ipv6')
  }
}
