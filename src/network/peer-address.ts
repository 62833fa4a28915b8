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
 * Parses what a user gives as a peer: a TCP multiaddr that ends in `/p2p/<peer id>`, its own or that of a relay,
 * `/ip4/.../tcp/.../p2p/<relay>/p2p-circuit/p2p/<peer id>`.
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
  const peers = components.filter(({ name }) => name === 'p2p')
  const last = components.at(-1)
  if (
    peers.length > 0 &&
    (last?.name !== 'p2p' || peers.some(({ value }) => value === undefined || !isPeerId(value)))
  ) {
    throw new UsageError(`peer address "${text}" does not end in /p2p/<peer id>: give it as ${example}`)
  }
  if (!isTcp(components)) {
    throw new UsageError(`peer address "${text}" is not a TCP address: give it as ${example}`)
  }
  return { peerId: last?.name === 'p2p' ? last.value : undefined, address: multiaddr(text).toString() }
}

/** The address with this peer id at its end, where none is there. @throws UsageError with the value */
export function withPeerId(address: string, peerId: string): string {
  return parsePeerAddress(/\/p2p\/[^/]+$/.test(address) ? address : `${address}/p2p/${peerId}`).address
}

/** Parses a relay's own address. @throws UsageError with the value */
export function parseRelayAddress(text: string): PeerAddress {
  if (relayOf(text) === undefined) return parsePeerAddress(text)
  throw new UsageError(`"${text}" leads through a relay: give that relay's own address, which ends before ${CIRCUIT}`)
}

/** What stands between the address of a relay and the peer behind it. */
const CIRCUIT = '/p2p-circuit'

/** The relay's own address, where an address leads through one; it ends in the relay's peer id. */
export function relayOf(address: string): string | undefined {
  const at = address.indexOf(CIRCUIT)
  return at === -1 ? undefined : address.slice(0, at)
}

/** Where a peer is reached through a relay, given the relay's address. */
export function throughRelay(relay: string, peerId: string): string {
  return `${relay}${CIRCUIT}/p2p/${peerId}`
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

/** A host and a TCP port, then nothing, a peer, or a relay and one peer behind it. */
function isTcp(components: readonly AddressPart[]): boolean {
  const [host = '', ...rest] = components.map(({ name }) => name)
  return /^(ip[46]|dns[46]?)$/.test(host) && /^tcp(,p2p(,p2p-circuit,p2p)?)?$/.test(rest.join())
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

/** What one host has at the least: its address, or of public IPv6 the /64 in which it has as many as it likes. */
export function networkOf(host: string): string {
  if (isIP(host) !== 6 || scopeOfHost(host) !== 'public') return host
  const [head = '', tail = ''] = host.split('::')
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'))
  const [first, last] = [groups(head), groups(tail)]
  const zeros = host.includes('::') ? Array<string>(Math.max(0, 8 - first.length - last.length)).fill('0') : []
  const whole = [...first, ...zeros, ...last].map(group => Number.parseInt(group, 16).toString(16))
  return `${whole.slice(0, 4).join(':')}::/64`
}

/**
 * What a host may have of what there is for all, by default: a quarter, so that it takes four to fill a node. One on loopback
 * or in a private network may have all: it is the operator's own, or stands for many, as a proxy does.
 *
 * @param host as `SharedHosts` tells it
 * @param least what a quarter is never below
 */
export function shareOfHost(host: string, most: number, least: number): number {
  return scopeOfHost(host) === 'public' ? Math.min(most, Math.max(least, Math.ceil(most / 4))) : most
}

/**
 * Whose limits count for what comes from an address: its host's. All that comes through a relay comes from one host: there
 * each peer counts for itself.
 */
export function sourceOf(address: string): string {
  return relayOf(address) === undefined ? networkOf(hostOf(address)) : address
}

/** Scope of a multiaddr, by the IP address or name it begins with (a relay's, for an address through a relay). */
export function scopeOf(address: string): AddressScope {
  return scopeOfHost(hostOf(address))
}

export const isPublicAddress = (address: string): boolean => scopeOf(address) === 'public'

/** Whether who came from there shows that this node can be dialled from outside: from a public address, not through a relay. */
export function provesReach(from: string): boolean {
  return isPublicAddress(from) && relayOf(from) === undefined
}

const rank: Record<AddressScope, number> = { public: 0, private: 1, loopback: 2 }

/** The addresses, public first, then private, then loopback; of each kind those through relays last. */
export function byReach(addresses: readonly string[]): string[] {
  const order = (address: string): number => 2 * rank[scopeOf(address)] + Number(relayOf(address) !== undefined)
  return [...addresses].sort((a, b) => order(a) - order(b))
}
