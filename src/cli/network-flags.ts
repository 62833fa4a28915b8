import { UsageError } from '../base/index.ts'
import type { ServeOptions } from '../node/index.ts'
import { type FlagValues, list, present, toggle, value } from './flags.ts'
import { parseMultiaddr } from './multiaddr.ts'
import { parseCount, parseSize } from './quantities.ts'
import { parsePath, swarmFlags, swarmOptions } from './swarm-flags.ts'

const parseLimit = parseCount(1)

/** Where a server is reached, by whom, and how much one of them may ask for. */
export const networkFlags = {
  listen: list('MULTIADDR', 'where to listen', parseMultiaddr, '/ip4/0.0.0.0/tcp/31226, /ip6/::/tcp/31226'),
  announce: list('MULTIADDR', 'what others are told to dial', parseMultiaddr, 'where it listens'),
  identity: value('FILE', 'private key of this node', parsePath, '<data-dir>/identity-PORT.key'),
  allow: list('PEER|RANGE', 'only these peer ids or address ranges may connect', text => text, 'everybody'),
  deny: list('PEER|RANGE', 'peer ids or address ranges that may not connect', text => text, 'nobody'),
  maxConnections: value('N', 'connections at once', parseLimit, '512'),
  maxDials: value('N', 'dials at once', parseLimit, '64'),
  peerConnections: value(
    'N',
    'connections at once from one host',
    parseLimit,
    'a quarter of all; all if it is private'
  ),
  peerDials: value('N', 'connections a second from one host', parseLimit, '20, and 512 at once'),
  peerRequests: value(
    'N',
    'requests a second of one peer: sessions, questions, pings',
    parseLimit,
    '100, and 1024 at once'
  ),
  peerSessions: value('N', 'sessions of one client at a time', parseLimit, 'as many as there may be'),
  peerBytes: value('SIZE', 'bytes a second from one peer', parseLimitSize, 'not limited'),
  sharedHosts: list('ADDRESS|RANGE', 'a proxy or router: who comes from there counts alone', text => text, 'none'),
  relay: list('MULTIADDR', 'relays to be reached through, for a node that nobody can dial', parseMultiaddr, 'none'),
  relayOthers: toggle('relay for nodes that nobody can dial'),
  relayPlaces: value('N', 'nodes to relay for at most', parseLimit, '16'),
  relayPlacesPerHost: value('N', 'of these, nodes of one host', parseLimit, 'a quarter; all if it is private'),
  relayBytes: value('SIZE', 'both ways over one relayed connection; 0 is without bound', parseSize, '1GiB'),
  upnp: toggle('ask the router to forward the port (libp2p UPnP, with AutoNAT; untried)'),
  ...swarmFlags
}

/** @throws UsageError */
export function networkOptions(given: FlagValues<typeof networkFlags>): Partial<ServeOptions> {
  const { listen, identity, allow, deny, maxConnections, maxDials, sharedHosts, relay: relays, upnp } = given
  const peerLimits = present({
    connections: given.peerConnections,
    dials: given.peerDials,
    requests: given.peerRequests,
    sessions: given.peerSessions,
    bytes: given.peerBytes
  })
  const relaying = present({
    places: given.relayPlaces,
    placesPerHost: given.relayPlacesPerHost,
    bytes: given.relayBytes
  })
  if (given.relayOthers !== true && Object.keys(relaying).length > 0)
    throw new UsageError(
      '--relay-places, --relay-places-per-host and --relay-bytes are limits of --relay-others, which is missing'
    )
  return {
    announce: given.announce ?? [],
    ...(Object.keys(peerLimits).length > 0 && { peerLimits }),
    ...(given.relayOthers === true && { relaying }),
    ...swarmOptions(given),
    ...present({ listen, identity, allow, deny, maxConnections, maxDials, sharedHosts, relays, upnp })
  }
}

function parseLimitSize(text: string): number {
  const bytes = parseSize(text)
  if (bytes === 0) throw new UsageError(`"${text}" is no limit: leave it out, or give a size such as 4MiB`)
  return bytes
}
