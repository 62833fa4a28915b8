import type { ConnectionGater, Libp2p } from '@libp2p/interface'
import { ping } from '@libp2p/ping'
import { preSharedKey } from '@libp2p/pnet'
import type { TCPOptions } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'
import {
  ADDRESS_DIAL_TIMEOUT_MS,
  CONNECTION_CLOSE_TIMEOUT_MS,
  DIAL_TIMEOUT_MS,
  OPEN_STREAM_TIMEOUT_MS,
  SOCKET_HIGH_WATER_BYTES,
  TCP_KEEP_ALIVE_MS
} from './constants.ts'
import { CorkedTcp } from './corked-tcp.ts'
import { type Identity, privateKeyOf } from './identity.ts'
import { silentLibp2pLog } from './libp2p-log.ts'
import { tunedNoise } from './noise-tuning.ts'
import { tunedYamux } from './yamux-tuning.ts'

export interface Libp2pInit {
  readonly identity: Identity
  readonly listen: readonly string[]
  readonly gater: ConnectionGater
  readonly swarmKey: Uint8Array | undefined
  readonly keepAliveMs: number
  readonly maxConnections: number
  readonly maxDials: number
}

export interface Libp2pNode {
  readonly libp2p: Libp2p
  readonly transport: CorkedTcp
}

// Sockets also take the options of their streams, which the transport's type does not list.
const socketOptions = {
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
  highWaterMark: SOCKET_HIGH_WATER_BYTES,
  writableHighWaterMark: SOCKET_HIGH_WATER_BYTES
}

// The keep-alive ends dead connections, and the pool idle ones; a socket's own timeout would end quiet ones.
const tcpOptions: TCPOptions = {
  inboundSocketInactivityTimeout: 0,
  outboundSocketInactivityTimeout: 0,
  dialOpts: socketOptions,
  listenOpts: socketOptions
}

/** libp2p with what this project needs of it: TCP, noise, yamux and ping. It does not listen yet. */
export async function createNode(init: Libp2pInit): Promise<Libp2pNode> {
  let transport: CorkedTcp | undefined
  const libp2p = await createLibp2p({
    privateKey: privateKeyOf(init.identity),
    addresses: { listen: [...init.listen] },
    transports: [components => (transport = new CorkedTcp(components, tcpOptions))],
    connectionEncrypters: [tunedNoise()],
    streamMuxers: [tunedYamux()],
    ...(init.swarmKey !== undefined && { connectionProtector: preSharedKey({ psk: init.swarmKey }) }),
    connectionGater: init.gater,
    connectionManager: {
      maxConnections: init.maxConnections,
      maxParallelDials: init.maxDials,
      dialTimeout: DIAL_TIMEOUT_MS,
      addressDialTimeout: ADDRESS_DIAL_TIMEOUT_MS,
      connectionCloseTimeout: CONNECTION_CLOSE_TIMEOUT_MS,
      inboundStreamProtocolNegotiationTimeout: OPEN_STREAM_TIMEOUT_MS,
      inboundConnectionThreshold: Number.POSITIVE_INFINITY,
      maxIncomingPendingConnections: init.maxConnections,
      reconnectRetries: 0
    },
    connectionMonitor: {
      enabled: init.keepAliveMs > 0,
      ...(init.keepAliveMs > 0 && { pingInterval: init.keepAliveMs })
    },
    services: { ping: ping({ maxInboundStreams: 8 }) },
    nodeInfo: { name: 'andthen' },
    logger: silentLibp2pLog,
    start: false
  })
  if (transport === undefined) throw new TypeError('libp2p made no transport')
  return { libp2p, transport }
}
