import { BlockList, isIP } from 'node:net'
import { multiaddr } from '@multiformats/multiaddr'
import { peerIdFromString } from '@libp2p/peer-id'
import { UsageError } from '../base/index.ts'

/** A peer and one place where it listens. */
export interface PeerAddress {
  readonly peerId: string
  /** Multiaddr with the peer id at its end, in canonical form. */
  readonly address: string
}

/** How far an address reaches. Names are `public`: only resolution tells. */
export type AddressScope = 'public' | 'private' | 'loopback'

const example = '/ip4/192.0.2.7/tcp/31226/p2p/12D3KooW...'

/**
 * Parses what a user gives as a peer: a TCP multiaddr that ends in `/p2p/<peer id>`.
 *
 * @throws UsageError with the value
 */
export function parsePeerAddress(text: string): PeerAddress {
  const { peerId, address } = parseDialAddress(text)
  if (peerId === undefined) {
    throw new UsageError(`peer address "${text}" does not end in /p2p/<peer id>: give it as ${example}`)
  }
  return { peerId, address }
}

/**
 * Parses what can be dialled: a TCP multiaddr, with or without the id of the peer that should answer there.
 *
 * @throws UsageError with the value
 */
export function parseDialAddress(text: string): { readonly peerId: string | undefined; readonly address: string } {
  const components = componentsOf(text)
  const peer = components.find(({ name }) => name === 'p2p')
  if (peer !== undefined && (peer !== components.at(-1) || peer.value === undefined || !isPeerId(peer.value))) {
    throw new UsageError(`peer address "${text}" does not end in /p2p/<peer id>: give it as ${example}`)
  }
  if (!isTcp(components)) {
    throw new UsageError(`peer address "${text}" is not a TCP address: give it as ${example}`)
  }
  return { peerId: peer?.value, address: multiaddr(text).toString() }
}

/**
 * Parses where to listen: a TCP multiaddr without a peer id, port 0 for any free one.
 *
 * @throws UsageError with the value
 */
export function parseListenAddress(text: string): string {
  const components = componentsOf(text)
  const [host, transport] = components
  const named = host?.name !== 'ip4' && host?.name !== 'ip6'
  if (named || transport?.name !== 'tcp' || components.length !== 2) {
    throw new UsageError(`cannot listen on "${text}": give an IP address and TCP port, as /ip4/0.0.0.0/tcp/31226`)
  }
  return multiaddr(text).toString()
}

/** The peer id in its canonical form. @throws UsageError with the value */
export function parsePeerId(text: string): string {
  try {
    return peerIdFromString(text).toString()
  } catch (cause) {
    throw new UsageError(`"${text}" is not a peer id: one looks like 12D3KooW...`, { cause })
  }
}

function isPeerId(text: string): boolean {
  try {
    peerIdFromString(text)
    return true
  } catch {
    return false
  }
}

interface AddressPart {
  readonly name: string
  readonly value?: string
}

function componentsOf(text: string): readonly AddressPart[] {
  try {
    return multiaddr(text).getComponents()
  } catch (cause) {
    throw new UsageError(`"${text}" is not a multiaddr: give it as ${example}`, { cause })
  }
}

function isTcp(components: readonly AddressPart[]): boolean {
  const [host, transport] = components
  return host !== undefined && /^(ip[46]|dns[46]?)$/.test(host.name) && transport?.name === 'tcp'
}

/** The IP address or name that an address begins with. */
export function hostOf(address: string): string {
  return componentsOf(address)[0]?.value ?? ''
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

// IANA's special-purpose registries: whatever is not globally reachable.
const special = new BlockList()
for (const range of [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3'
]) {
  const [network = '', prefix] = range.split('/')
  special.addSubnet(network, Number(prefix), 'ipv4')
}

// Of IPv6 only 2000::/3 is allotted for global use, without what is for documentation and tunnels into IPv4.
const globalUnicast = new BlockList()
globalUnicast.addSubnet('2000::', 3, 'ipv6')
const notGlobal = new BlockList()
for (const [network, prefix] of [
  ['2001:db8::', 32],
  ['2001::', 32],
  ['2002::', 16],
  ['3fff::', 20]
] as const) {
  notGlobal.addSubnet(network, prefix, 'ipv6')
}

/** Scope of an IP address; a name is `public`, but for those that are loopback by definition. */
function scopeOfHost(host: string): AddressScope {
  const version = isIP(host)
  if (version === 0) return /(^|\.)localhost\.?$/i.test(host) ? 'loopback' : 'public'
  const family = version === 4 ? 'ipv4' : 'ipv6'
  // An IPv4 address in IPv6's clothes (::ffff:10.0.0.1) is checked against the IPv4 ranges by BlockList itself.
  if (loopback.check(host, family)) return 'loopback'
  if (special.check(host, family)) return 'private'
  if (family === 'ipv4') return 'public'
  return globalUnicast.check(host, family) && !notGlobal.check(host, family) ? 'public' : 'private'
}

/** Scope of a multiaddr, by the IP address or name it begins with (a relay's, for an address through a relay). */
export function scopeOf(address: string): AddressScope {
  return scopeOfHost(hostOf(address))
}

export const isPublicAddress = (address: string): boolean => scopeOf(address) === 'public'

const rank: Record<AddressScope, number> = { public: 0, private: 1, loopback: 2 }

/** The addresses, public first, then private, then loopback; otherwise in their order. */
export function byReach(addresses: readonly string[]): string[] {
  return [...addresses].sort((a, b) => rank[scopeOf(a)] - rank[scopeOf(b)])
}
