import { type Clock, UsageError } from '../../base/index.ts'
import { isPublicAddress, parsePeerAddress } from '../../network/index.ts'

const minute = 60_000
/** Dials that one owner may cause at once, and how many a minute come back: re-routing needs few. */
const DIALS_PER_OWNER = 32
/** Addresses of one peer that are looked at; nobody listens on more. */
const MAX_ADDRESSES = 8
/** Owners remembered; the one longest without a dial is forgotten first. */
const OWNERS_KEPT = 4096

interface Allowance {
  left: number
  at: number
}

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
  readonly #clock: Clock
  readonly #isPublic: () => boolean
  readonly #isConnected: (peerId: string) => boolean
  readonly #owners = new Map<string, Allowance>()

  constructor(components: DialPolicyComponents) {
    this.#clock = components.clock
    this.#isPublic = () => components.ownAddresses().some(isPublicAddress)
    this.#isConnected = components.isConnected
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
   * Takes one dial off the owner's allowance; false when it is used up. A peer that is connected is not dialled: that
   * costs nothing.
   */
  spend(owner: string, peerId: string): boolean {
    if (this.#isConnected(peerId)) return true
    const now = this.#clock.now()
    const before = this.#owners.get(owner) ?? { left: DIALS_PER_OWNER, at: now }
    const left = Math.min(DIALS_PER_OWNER, before.left + ((now - before.at) / minute) * DIALS_PER_OWNER)
    this.#owners.delete(owner)
    this.#owners.set(owner, { left: Math.max(0, left - 1), at: now })
    if (this.#owners.size > OWNERS_KEPT) for (const oldest of this.#owners.keys()) return this.#forget(oldest, left)
    return left >= 1
  }

  #forget(owner: string, left: number): boolean {
    this.#owners.delete(owner)
    return left >= 1
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
