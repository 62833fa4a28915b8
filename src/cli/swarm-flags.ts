import { resolve } from 'node:path'
import type { SwarmOptions } from '../node/index.ts'
import { type FlagValues, present, toggle, value } from './flags.ts'
import { parseDuration } from './quantities.ts'

/** What servers and clients of one swarm take alike. */
export const swarmFlags = {
  swarmKey: value('FILE', 'key of a private swarm: only those who have it can connect', parsePath, 'a public swarm'),
  forcePrivate: toggle('refuse to start without --swarm-key'),
  connectionIdleTimeout: value(
    'DURATION',
    'how long a connection that nothing uses stays open; 0 is for ever',
    parseDuration,
    '30s'
  ),
  keepAlive: value(
    'DURATION',
    'how often a connection is pinged, and ended where nothing answers; 0 is never',
    parseDuration,
    '10s'
  ),
  tcpKeepAlive: value('DURATION', 'silence after which TCP probes the other end; 0 is never', parseDuration, '1m'),
  holePunching: toggle('make relayed connections direct where one end can be dialled (libp2p DCUtR)')
}

export function swarmOptions(given: FlagValues<typeof swarmFlags>): SwarmOptions {
  const { swarmKey, forcePrivate, connectionIdleTimeout: connectionIdleTimeoutMs } = given
  const { keepAlive: keepAliveMs, tcpKeepAlive: tcpKeepAliveMs, holePunching } = given
  return present({ swarmKey, forcePrivate, connectionIdleTimeoutMs, keepAliveMs, tcpKeepAliveMs, holePunching })
}

/** A path, told from here; later the process may be elsewhere. */
export function parsePath(text: string): string {
  return resolve(text)
}
