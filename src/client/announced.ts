import { UsageError } from '../base/index.ts'
import { parsePeerAddress } from '../network/index.ts'
import { MAX_ADDRESS_CHARS, MAX_ADDRESSES } from './constants.ts'

/**
 * Of the addresses that a server announces, those that other servers may be given: short, few, and its own, each with its
 * peer id at the end. What it announces goes into messages to its neighbours, which it must not be able to spoil.
 */
export function announcedBy(peerId: string, addresses: readonly string[]): string[] {
  const own: string[] = []
  for (const address of addresses) {
    if (own.length === MAX_ADDRESSES) break
    const parsed = ofPeer(peerId, address)
    if (parsed !== null) own.push(parsed)
  }
  return own
}

function ofPeer(peerId: string, address: string): string | null {
  if (address.length > MAX_ADDRESS_CHARS) return null
  try {
    const parsed = parsePeerAddress(/\/p2p\/[^/]+$/.test(address) ? address : `${address}/p2p/${peerId}`)
    return parsed.peerId === peerId ? parsed.address : null
  } catch (error) {
    if (error instanceof UsageError) return null
    throw error
  }
}
