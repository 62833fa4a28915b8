import type { Connection } from '@libp2p/interface'
import { silentLogger, systemClock } from '../base/index.ts'
import { AccessList } from './access-list.ts'
import { carriesRelayed } from './circuit.ts'
import {
  ANSWER_LIMIT,
  CONNECTION_IDLE_TIMEOUT_MS,
  DIAL_LIMIT,
  FLOOD_DIALS,
  KEEP_ALIVE_MS,
  LEAST_OF_HOST,
  MAX_CONNECTIONS,
  MAX_DIALS,
  PEERS_REMEMBERED,
  PING_TIMEOUT_MS,
  REFUSAL_LIMIT,
  RELAY_PLACES,
  STREAM_LIMIT,
  TCP_KEEP_ALIVE_MS
} from './constants.ts'
import { createCounters } from './counters.ts'
import { ListenError } from './errors.ts'
import { Gatekeeper } from './gatekeeper.ts'
import { Handshakes } from './handshakes.ts'
import { KeepAlive } from './keep-alive.ts'
import { createNode, type Libp2pNode } from './libp2p-node.ts'
import { Libp2pNetwork } from './libp2p-network.ts'
import { freeListenAddresses } from './listen.ts'
import type { Network, NetworkInit } from './network.ts'
import { boundPeers } from './peer-memory.ts'
import { parseRelayAddress, shareOfHost, withPeerId } from './peer-address.ts'
import { ConnectionPool } from './pool.ts'
import { StreamFlood } from './stream-flood.ts'
import { RelayReservations } from './relay-reservations.ts'
import { RelayShares } from './relay-shares.ts'
import { SharedHosts } from './shared-hosts.ts'

/**
 * Starts the network. Where relays are given, it resolves when each has answered, or could not be reached.
 *
 * @throws UsageError for addresses that make no sense, ListenError when nothing can be listened on
 */
export async function createNetwork(init: NetworkInit): Promise<Network> {
  const logger = init.logger ?? silentLogger
  const clock = init.clock ?? systemClock
  const wanted = init.listen ?? []
  const announce = (init.announce ?? []).map(address => withPeerId(address, init.identity.peerId))
  const relays = (init.relays ?? []).map(parseRelayAddress)
  const access = new AccessList(init.access)
  const shared = new SharedHosts(init.sharedHosts)
  const listen = await freeListenAddresses(wanted)
  const counters = createCounters()
  const gatekeeper = new Gatekeeper(
    { access, shared, clock, counters },
    { dialLimit: init.limits?.dials ?? DIAL_LIMIT }
  )
  const limits = { maxConnections: init.maxConnections ?? MAX_CONNECTIONS, maxDials: init.maxDials ?? MAX_DIALS }
  const connectionsFrom = (host: string): number =>
    init.limits?.connections ?? shareOfHost(host, limits.maxConnections, LEAST_OF_HOST)
  const node = await createNode({
    ...limits,
    identity: init.identity,
    listen,
    announce,
    gater: gatekeeper,
    handshakes: new Handshakes({ counters }, { most: limits.maxConnections }),
    swarmKey: init.swarmKey,
    tcpKeepAliveMs: init.tcpKeepAliveMs ?? TCP_KEEP_ALIVE_MS,
    isRelay: peer => {
      const asked = relays.some(({ peerId }) => peerId === peer)
      if (!asked) counters.refusedByRelay++
      return asked
    },
    relaying: init.relaying,
    holePunching: init.holePunching ?? false,
    upnp: init.upnp ?? false
  })
  const pool = new ConnectionPool(
    {
      ...{ libp2p: node.libp2p, wire: node.wire, clock, logger, counters, shared },
      refusal: peer => {
        if (peer === init.identity.peerId) return 'self'
        return peer.startsWith('/') || access.allowsPeer(peer) ? undefined : 'denied'
      }
    },
    {
      ...limits,
      maxFrom: connectionsFrom,
      idleTimeoutMs: init.connectionIdleTimeoutMs ?? CONNECTION_IDLE_TIMEOUT_MS,
      isNeeded: connection => keepsPlace(node, connection) || carriesRelayed(connection)
    }
  )
  gatekeeper.isFull = () => pool.full
  gatekeeper.isFullFrom = host => pool.isFullFrom(host)
  if (node.relayed !== undefined) {
    const { places = RELAY_PLACES, placesPerHost } = init.relaying ?? {}
    const placesFrom = (host: string): number => placesPerHost ?? shareOfHost(host, places, 1)
    gatekeeper.relayShares = new RelayShares(
      { libp2p: node.libp2p, places: node.relayed, shared },
      { placesFrom, connectionsFrom }
    )
  }
  boundPeers({ libp2p: node.libp2p, logger }, { most: PEERS_REMEMBERED })
  const keepAliveMs = init.keepAliveMs ?? KEEP_ALIVE_MS
  const keepAlive = new KeepAlive(
    { clock, logger, counters },
    { intervalMs: keepAliveMs, pingTimeoutMs: Math.min(PING_TIMEOUT_MS, 2 * keepAliveMs) }
  )
  const { perSecond, burst } = init.limits?.streams ?? STREAM_LIMIT
  const flood = new StreamFlood(
    { clock, logger, counters, shared, onEnded: host => gatekeeper.charge(host, FLOOD_DIALS) },
    {
      streams: { perSecond: perSecond + REFUSAL_LIMIT.perSecond, burst: burst + REFUSAL_LIMIT.burst },
      answers: ANSWER_LIMIT
    }
  )
  node.libp2p.addEventListener('connection:open', ({ detail }) => {
    flood.watch(detail)
    keepAlive.watch(detail)
  })
  node.libp2p.addEventListener('connection:close', ({ detail }) => keepAlive.forget(detail))
  const reservations = new RelayReservations({ store: node.circuit.reservationStore, pool, clock, logger }, { relays })
  const network = new Libp2pNetwork(
    { node, pool, reservations, counters, shared, clock, logger },
    { announce, limits: init.limits ?? {} }
  )
  await network.start().catch(async (cause: unknown) => {
    await network.close()
    throw new ListenError(listen.join(', '), cause instanceof Error ? cause.message : String(cause), { cause })
  })
  for (const [i, address] of listen.entries()) {
    if (address !== wanted[i])
      logger.warn({ wanted: wanted[i], listening: address }, 'port taken, listening on the next')
  }
  return network
}

/** Whether somebody is reached over this connection: libp2p takes the first of a peer's, so that no other needs to stay. */
function keepsPlace({ libp2p, relayed }: Libp2pNode, connection: Connection): boolean {
  const { remotePeer } = connection
  return relayed?.has(remotePeer) === true && libp2p.getConnections(remotePeer)[0] === connection
}
