import { type CircuitRelayService, circuitRelayServer } from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import { type Connection, ConnectionClosedError, type ConnectionGater, type Libp2p } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { preSharedKey } from '@libp2p/pnet'
import type { TCPOptions } from '@libp2p/tcp'
import { createLibp2p, type ServiceFactoryMap } from 'libp2p'
import { type CircuitTransport, circuitTransport } from './circuit.ts'
import {
  ADDRESS_DIAL_TIMEOUT_MS,
  CONNECTION_CLOSE_TIMEOUT_MS,
  DIAL_TIMEOUT_MS,
  MAX_SERVICE_STREAMS,
  MAX_STREAMS_PER_PROTOCOL,
  OPEN_STREAM_TIMEOUT_MS,
  RELAY_BYTES,
  RELAY_DURATION_MS,
  RELAY_PLACE_MS,
  RELAY_PLACES,
  SOCKET_HIGH_WATER_BYTES
} from './constants.ts'
import { CorkedTcp } from './corked-tcp.ts'
import type { Wire } from './dialer.ts'
import type { Handshakes } from './handshakes.ts'
import { type Identity, privateKeyOf } from './identity.ts'
import { silentLibp2pLog } from './libp2p-log.ts'
import { tunedNoise } from './noise-tuning.ts'
import { boundRelayed } from './relay-backpressure.ts'
import { tunedYamux } from './yamux-tuning.ts'

export interface Libp2pInit {
  readonly identity: Identity
  readonly listen: readonly string[]
  /** Where others reach this node, as they are told by libp2p's own services. @default where it listens */
  readonly announce?: readonly string[]
  readonly gater: ConnectionGater
  readonly handshakes: Handshakes
  readonly swarmKey: Uint8Array | undefined
  /** After how long without a byte TCP probes the other end; 0 is never. */
  readonly tcpKeepAliveMs: number
  readonly maxConnections: number
  readonly maxDials: number
  /** Whether this node asked that peer to relay for it. */
  readonly isRelay: (peer: string) => boolean
  /** Relays for others, within these bounds. @default it does not */
  readonly relaying: RelayingInit | undefined
  readonly holePunching: boolean
  readonly upnp: boolean
}

export interface RelayingInit {
  /** Nodes that may be reached through this one. @default 16 */
  readonly places?: number | undefined
  /** Of these, nodes of one host. @default a quarter; all of them from a private or loopback address */
  readonly placesPerHost?: number | undefined
  /** Bytes both ways over one relayed connection, which ends then; 0 is without bound. @default 1 GiB */
  readonly bytes?: number | undefined
}

export interface Libp2pNode {
  readonly libp2p: Libp2p
  readonly wire: Wire
  readonly transport: CorkedTcp
  readonly circuit: CircuitTransport
  /** Who may be reached through this node; undefined where it does not relay. */
  readonly relayed: CircuitRelayService['reservations'] | undefined
}

// The keep-alive ends dead connections, and the pool idle ones; a socket's own timeout would end quiet ones.
function tcpOptions(keepAliveMs: number): TCPOptions {
  // Sockets also take the options of their streams, which the transport's type does not list.
  const socketOptions = {
    noDelay: true,
    keepAlive: keepAliveMs > 0,
    keepAliveInitialDelay: keepAliveMs,
    highWaterMark: SOCKET_HIGH_WATER_BYTES,
    writableHighWaterMark: SOCKET_HIGH_WATER_BYTES
  }
  return {
    inboundSocketInactivityTimeout: 0,
    outboundSocketInactivityTimeout: 0,
    dialOpts: socketOptions,
    listenOpts: socketOptions
  }
}

/** libp2p with what this project needs of it: TCP, relays, noise and yamux. It does not listen yet. */
export async function createNode(init: Libp2pInit): Promise<Libp2pNode> {
  let transport: CorkedTcp | undefined
  let circuit: CircuitTransport | undefined
  let relayed: CircuitRelayService['reservations'] | undefined
  let transports: Transports | undefined
  const libp2p = await createLibp2p({
    privateKey: privateKeyOf(init.identity),
    addresses: { listen: [...init.listen], announce: [...(init.announce ?? [])] },
    transports: [
      components =>
        (transport = new CorkedTcp(
          { logger: components.logger, handshakes: init.handshakes },
          tcpOptions(init.tcpKeepAliveMs)
        )),
      components => {
        transports = components.transportManager
        return (circuit = circuitTransport(init.isRelay)(components))
      }
    ],
    connectionEncrypters: [tunedNoise()],
    streamMuxers: [tunedYamux()],
    ...(init.swarmKey !== undefined && { connectionProtector: preSharedKey({ psk: init.swarmKey }) }),
    connectionGater: init.gater,
    connectionManager: {
      // The gatekeeper and the pool hold the cap, and let idle ones make room; libp2p would refuse before they are asked.
      // What is still shaking hands may come on top for a moment, and what is to go from there for another.
      maxConnections: 2 * init.maxConnections,
      maxParallelDials: init.maxDials,
      dialTimeout: DIAL_TIMEOUT_MS,
      addressDialTimeout: ADDRESS_DIAL_TIMEOUT_MS,
      connectionCloseTimeout: CONNECTION_CLOSE_TIMEOUT_MS,
      inboundStreamProtocolNegotiationTimeout: OPEN_STREAM_TIMEOUT_MS,
      inboundConnectionThreshold: Number.POSITIVE_INFINITY,
      maxIncomingPendingConnections: 2 * init.maxConnections,
      reconnectRetries: 0
    },
    // KeepAlive is in its place.
    connectionMonitor: { enabled: false },
    services: {
      // The relay transport wants it, and asks nothing of it here; only hole punching and UPnP do.
      identify: identify({
        maxInboundStreams: MAX_SERVICE_STREAMS,
        runOnConnectionOpen: init.holePunching || init.upnp
      }),
      ...(init.relaying !== undefined && { relay: relayServer(init.relaying, found => (relayed = found)) }),
      ...(await natServices(init))
    },
    nodeInfo: { name: 'andthen' },
    logger: silentLibp2pLog,
    start: false
  })
  if (transport === undefined || circuit === undefined || transports === undefined)
    throw new TypeError('libp2p made no transport')
  // A place is for who is there: libp2p would keep those of strangers who came and went, and have none left.
  libp2p.addEventListener('peer:disconnect', ({ detail: peer }) => {
    relayed?.get(peer)?.signal.clear()
    relayed?.delete(peer)
  })
  return { libp2p, wire: wireOf(libp2p, transports), transport, circuit, relayed }
}

/** The part of libp2p's transport manager that is used here; transports are given it. */
interface Transports {
  dial(address: Multiaddr, options: { readonly signal: AbortSignal }): Promise<Connection>
}

/**
 * Dials past libp2p's queue where an address is given. That has one dial for a peer, which takes its addresses one after
 * the other, and which whoever asks for that peer by another address is made to join.
 */
function wireOf(libp2p: Libp2p, transports: Transports): Wire {
  return {
    async dialAddress(address, signal) {
      const connection = await transports.dial(multiaddr(address), { signal })
      if (connection.status !== 'open') throw new ConnectionClosedError('it was closed as it was opened')
      // As the queue does, so that a peer that was connected can be dialled by its id.
      await libp2p.peerStore.merge(connection.remotePeer, { multiaddrs: [connection.remoteAddr] })
      return connection
    },
    dialPeer: (peer, signal) => libp2p.dial(peerIdFromString(peer), { signal, force: true })
  }
}

function relayServer(
  { places = RELAY_PLACES, bytes = RELAY_BYTES }: RelayingInit,
  onReservations: (reservations: CircuitRelayService['reservations']) => void
): ServiceFactoryMap['relay'] {
  const create = circuitRelayServer({
    hopTimeout: OPEN_STREAM_TIMEOUT_MS,
    maxInboundHopStreams: MAX_STREAMS_PER_PROTOCOL,
    maxOutboundStopStreams: MAX_STREAMS_PER_PROTOCOL,
    reservations: {
      maxReservations: places,
      reservationTtl: RELAY_PLACE_MS,
      applyDefaultLimit: bytes > 0,
      defaultDataLimit: BigInt(bytes),
      defaultDurationLimit: RELAY_DURATION_MS
    }
  })
  return components => {
    const server = create(components)
    boundRelayed(server)
    onReservations(server.reservations)
    return server
  }
}

/** Loaded only where they are asked for: most nodes are not. */
async function natServices(init: Pick<Libp2pInit, 'holePunching' | 'upnp'>): Promise<ServiceFactoryMap> {
  const services: ServiceFactoryMap = {}
  if (init.holePunching) services['dcutr'] = (await import('@libp2p/dcutr')).dcutr()
  if (init.upnp) {
    services['autonat'] = (await import('@libp2p/autonat')).autoNAT()
    services['upnp'] = (await import('@libp2p/upnp-nat')).uPnPNAT()
  }
  return services
}
