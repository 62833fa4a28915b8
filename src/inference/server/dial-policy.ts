import { type Clock, UsageError } from '../../base/index.ts'
import {
  type Asker,
  hostOf,
  isPublicAddress,
  networkOf,
  parsePeerAddress,
  PeerLimiter,
  RateLimiter
} from '../../network/index.ts'

const minute = 60
/** Dials that one owner may cause: re-routing needs few. */
const OWNER_LIMIT = { burst: 32, perSecond: 32 / minute }
/** Dials of one host, whoever names it: owners cost nothing, so that anybody could have nodes hammer on a stranger's. */
const HOST_LIMIT = { burst: 64, perSecond: 64 / minute }
/** Addresses of one peer that are looked at; nobody listens on more. */
const MAX_ADDRESSES = 8

interface DialPolicyComponents {
  readonly clock: Clock
  readonly ownAddresses: () => readonly string[]
  /** A stream to this peer needs no dial. */
  readonly isConnected: (peerId: string) => boolean
}

/**
 * Which addresses this node dials because a client named them. A node with a public address dials only public literal
 * addresses, so that no client can use it to reach into the network behind it; names are refused there, for they may
 * resolve to anything. A node that is itself private or on loopback dials what it is given.
 */
export class DialPolicy {
  readonly #isPublic: () => boolean
  readonly #isConnected: (peerId: string) => boolean
  readonly #owners: PeerLimiter
  readonly #hosts: RateLimiter

  constructor(components: DialPolicyComponents) {
    this.#isPublic = () => components.ownAddresses().some(isPublicAddress)
    this.#isConnected = components.isConnected
    this.#owners = new PeerLimiter(components, OWNER_LIMIT)
    this.#hosts = new RateLimiter(components, HOST_LIMIT)
  }

  /** What may be dialled to reach this peer, and no other: each address ends in its id. */
  targets(peerId: string, addresses: readonly string[]): string[] {
    const literalOnly = this.#isPublic()
    return addresses
      .slice(0, MAX_ADDRESSES)
      .map(address => ofPeer(peerId, address))
      .filter(address => address !== null)
      .filter(address => !literalOnly || (/^\/ip[46]\//.test(address) && isPublicAddress(address)))
  }

  /**
   * Takes a dial of these targets off the allowances of its owner and of each host; false when one is used up. A peer that
   * is connected is not dialled: that costs nothing.
   */
  spend(owner: Asker, peerId: string, targets: readonly string[]): boolean {
    if (this.#isConnected(peerId)) return true
    const hosts = [...new Set(targets.map(address => networkOf(hostOf(address))))]
    return this.#owners.take(owner) === 0 && hosts.every(host => this.#hosts.take(host) === 0)
  }
}

/** The address with this peer's id at its end; null where it is none, or another's. */
function ofPeer(peerId: string, address: string): string | null {
  try {
    const whole = /\/p2p\/[^/]+$/.test(address) ? address : `${address}/p2p/${peerId}`
    const parsed = parsePeerAddress(whole)
    return parsed.peerId === peerId ? parsed.address : null
  } catch (error) {
    if (error instanceof UsageError) return null
    throw error
  }
}
