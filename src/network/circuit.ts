import { circuitRelayTransport, RELAY_V2_HOP_CODEC, RELAY_V2_STOP_CODEC } from '@libp2p/circuit-relay-v2'
import type { Connection, PeerId, StreamHandler, Transport } from '@libp2p/interface'

/** Places on relays, as libp2p keeps and renews them; the part of its class that is used here. */
export interface ReservationStore {
  addRelay(relay: PeerId, type: 'configured'): Promise<unknown>
  addEventListener(type: 'relay:removed', listener: (event: CustomEvent<{ readonly relay: PeerId }>) => void): void
}

export interface CircuitTransport extends Transport {
  readonly reservationStore: ReservationStore
  /** Takes a connection that a relay offers; a method of libp2p's class, though not of its type. */
  onStop: StreamHandler
}

type Create = ReturnType<typeof circuitRelayTransport>

/**
 * libp2p's transport through relays, which would take a connection from whoever offers one, and reserve a place there:
 * it hears of connections through a relay from those relays only that this node asked for a place.
 *
 * @param isRelay whether this node asked this peer for a place
 */
export function circuitTransport(
  isRelay: (peer: string) => boolean
): (components: Parameters<Create>[0]) => CircuitTransport {
  const create = circuitRelayTransport()
  return components => {
    const transport = create(components)
    // Unguarded it must not start, so another version of the class is refused.
    if (!isCircuit(transport)) throw new TypeError("libp2p's relay transport has no onStop or keeps no reservations")
    const take = transport.onStop
    transport.onStop = (stream, connection) => {
      if (isRelay(connection.remotePeer.toString())) return take(stream, connection)
      stream.abort(new Error('not one of our relays'))
    }
    return transport
  }
}

function isCircuit(transport: Transport): transport is CircuitTransport {
  return 'reservationStore' in transport && 'onStop' in transport && typeof transport.onStop === 'function'
}

/** Whether the relay's protocols use this connection, as ends of what is relayed or to ask for it. */
export function carriesRelayed(connection: Connection): boolean {
  return connection.streams.some(({ protocol }) => protocol === RELAY_V2_HOP_CODEC || protocol === RELAY_V2_STOP_CODEC)
}
