import {
  type CircuitRelayTransportComponents,
  circuitRelayTransport,
  RELAY_V2_HOP_CODEC,
  RELAY_V2_STOP_CODEC
} from '@libp2p/circuit-relay-v2'
import type { Connection, PeerId, StreamHandler, Transport } from '@libp2p/interface'

/** Places on relays, as libp2p keeps and renews them; the part of its class that is used here. */
export interface ReservationStore {
  addRelay(relay: PeerId, type: 'configured'): Promise<unknown>
  addEventListener(type: 'relay:removed', listener: (event: CustomEvent<{ readonly relay: PeerId }>) => void): void
}

export interface CircuitTransport extends Transport {
  readonly reservationStore: ReservationStore
}

/**
 * libp2p's transport through relays, which would take a connection from whoever offers one, and reserve a place there:
 * it hears of connections through a relay from those relays only that this node asked for a place.
 *
 * @param isRelay whether this node asked this peer for a place
 */
export function circuitTransport(
  isRelay: (peer: string) => boolean
): (components: CircuitRelayTransportComponents) => CircuitTransport {
  const guarded =
    (handler: StreamHandler): StreamHandler =>
    (stream, connection) => {
      if (isRelay(connection.remotePeer.toString())) return handler(stream, connection)
      stream.abort(new Error('not one of our relays'))
    }
  return components => {
    const registrar = over(components.registrar, {
      handle: (protocol, handler, options) =>
        components.registrar.handle(protocol, protocol === RELAY_V2_STOP_CODEC ? guarded(handler) : handler, options)
    })
    const transport = circuitRelayTransport()(over(components, { registrar }))
    if (!hasStore(transport)) throw new TypeError('the relay transport keeps no reservations')
    return transport
  }
}

function hasStore(transport: Transport): transport is CircuitTransport {
  return 'reservationStore' in transport
}

/** Whether the relay's protocols use this connection, as ends of what is relayed or to ask for it. */
export function carriesRelayed(connection: Connection): boolean {
  return connection.streams.some(({ protocol }) => protocol === RELAY_V2_HOP_CODEC || protocol === RELAY_V2_STOP_CODEC)
}

/** The object with some of its members replaced. */
function over<T extends object>(inner: T, members: Partial<T>): T {
  return new Proxy(inner, {
    get(target, key) {
      if (key in members) return Reflect.get(members, key)
      const member: unknown = Reflect.get(target, key)
      return typeof member === 'function' ? member.bind(target) : member
    }
  })
}
