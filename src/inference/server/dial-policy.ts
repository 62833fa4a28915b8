import { type Clock, UsageError } from '../../base/index.ts'
import {
  type Asker,
  hostOf,
  isPublicAddress,
  networkOf,
  parsePeerAddress,
  PeerLimiter,
  RateLimiter,
  shareOfHost
} from '../../network/index.ts'

const minute = 60
/** Dials that one owner may cause: re-routing needs few. */
const OWNER_LIMIT = { burst: 32, perSecond: 32 / minute }
/** Dials of one host, whoever names it: owners cost nothing, so that anybody could have nodes hammer on a stranger's. */
const HOST_LIMIT = { burst: 64, perSecond: 64 / minute }
/** Of these, what all owners of one host may cause: as much as one of them. */
const SHARE_LIMIT = OWNER_LIMIT
/** Addresses of one peer that are looked at; nobody listens on more. */
const MAX_ADDRESSES = 8

interface DialPolicyComponents {
  readonly clock: Clock
  readonly ownAddresses: () => readonly string[]
  /** A stream to this peer needs no dial. */
  readonly isConnected: (peerId: string) => boolean
  /** The peer that this address names was there when it was dialled. */
  readonly hasAnswered: (address: string) => boolean
}

/**
 * Which addresses this node dials because a client named them. A node with a public address dials only public literal
 * addresses, so that no client can use it to reach into the network behind it; names are refused there, for they may
 * resolve to anything. A node that is itself private or on loopback dials what it is given.
 *
 * How often: each owner has its dials, and each host that is dialled. Who wants a session to lose its next server may name
 * that one's host, with peers that are not there, until no dial of it is left. So of those dials one public host has no more than
 * one owner; and where a peer has answered before, it is dialled for whoever has not himself asked for that too often.
 */
export class DialPolicy {
  readonly #isPublic: () => boolean
  readonly #isConnected: (peerId: string) => boolean
  readonly #owners: PeerLimiter
  readonly #hasAnswered: (address: string) => boolean
  readonly #hosts: RateLimiter
  readonly #shares: RateLimiter

  constructor(components: DialPolicyComponents) {
    this.#isPublic = () => components.ownAddresses().some(isPublicAddress)
    this.#isConnected = components.isConnected
    this.#hasAnswered = components.hasAnswered
    this.#owners = new PeerLimiter(components, OWNER_LIMIT)
    this.#hosts = new RateLimiter(components, HOST_LIMIT)
    this.#shares = new RateLimiter(components, SHARE_LIMIT)
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
   * Takes a dial off the allowances of its owner and of where it goes, and returns the targets that may be dialled: those whose
   * allowances are not used up; none where the owner's own is. A peer that is connected is not dialled: that costs nothing.
   */
  spend(owner: Asker, peerId: string, targets: readonly string[]): readonly string[] {
    if (this.#isConnected(peerId)) return targets
    const priced = targets.map(address => ({ address, costs: this.#costsOf(owner, address) }))
    const affordable = priced.filter(({ costs }) => costs.every(({ of, key }) => of.wait(key) === 0))
    if (affordable.length === 0 || this.#owners.take(owner) > 0) return []
    // Several addresses of one host are one dial of it.
    const spent = new Map(affordable.flatMap(({ costs }) => costs).map(cost => [cost.key, cost]))
    for (const { of, key } of spent.values()) of.take(key)
    return affordable.map(({ address }) => address)
  }

  /** What a dial is counted for, beside its owner. */
  #costsOf({ host }: Asker, address: string): Cost[] {
    const there = networkOf(hostOf(address))
    const hasAnswered = this.#hasAnswered(address)
    const costs: Cost[] = hasAnswered ? [] : [{ of: this.#hosts, key: there }]
    // A host that may have all stands for many, or is the operator's own.
    if (shareOfHost(host, HOST_LIMIT.burst, SHARE_LIMIT.burst) < HOST_LIMIT.burst)
      costs.push({ of: this.#shares, key: `${host} ${hasAnswered ? address : there}` })
    return costs
  }
}

interface Cost {
  readonly of: RateLimiter
  readonly key: string
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
