import { UsageError } from '../base/index.ts'
import { parsePeerAddress, parsePeerId } from './peer-address.ts'

/** A peer, as a peer id that is or was connected, as a multiaddr that ends in `/p2p/<peer id>`, or as several of one peer. */
export type PeerTarget = string | readonly string[]

export interface ParsedTarget {
  readonly peer: string
  readonly addresses: readonly string[]
}

/** @throws UsageError when it names no peer, or several */
export function parseTarget(target: PeerTarget): ParsedTarget {
  if (typeof target === 'string' && !target.startsWith('/')) return { peer: parsePeerId(target), addresses: [] }
  const parsed = (typeof target === 'string' ? [target] : target).map(parsePeerAddress)
  const peers = new Set(parsed.map(({ peerId }) => peerId))
  const [peer] = peers
  if (peer === undefined) throw new UsageError('no address was given: give at least one that ends in /p2p/<peer id>')
  if (peers.size > 1) throw new UsageError(`addresses of different peers were given as one: ${[...peers].join(', ')}`)
  return { peer, addresses: parsed.map(({ address }) => address) }
}
