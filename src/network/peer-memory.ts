import type { Libp2p, PeerId } from '@libp2p/interface'
import type { Logger } from '../base/index.ts'

export interface PeerMemoryComponents {
  readonly libp2p: Pick<Libp2p, 'addEventListener' | 'getConnections' | 'peerStore'>
  readonly logger: Logger
}

/**
 * Makes libp2p forget peers that are not connected, but for the last ones. It remembers whoever connected, or could not
 * be dialled, for as long as the process lives; and strangers, and those they name, have as many ids as they like.
 */
export function boundPeers(components: PeerMemoryComponents, init: { readonly most: number }): void {
  const { libp2p, logger } = components
  const absent = new Map<string, PeerId>()
  const remember = (peer: PeerId): void => {
    if (libp2p.getConnections(peer).length > 0) return
    absent.delete(peer.toString())
    absent.set(peer.toString(), peer)
    const [oldest] = absent
    if (absent.size <= init.most || oldest === undefined) return
    absent.delete(oldest[0])
    libp2p.peerStore.delete(oldest[1]).catch((error: unknown) => {
      logger.debug({ peer: oldest[0], error: String(error) }, 'a peer could not be forgotten')
    })
  }
  libp2p.addEventListener('peer:connect', ({ detail }) => absent.delete(detail.toString()))
  libp2p.addEventListener('peer:disconnect', ({ detail }) => remember(detail))
  // As of a dial that failed.
  libp2p.addEventListener('peer:update', ({ detail }) => remember(detail.peer.id))
}
