import { isIP } from 'node:net'
import { type Logger, namingFlag } from '../base/index.ts'
import {
  AccessList,
  createNetwork,
  freeListenAddresses,
  type Identity,
  type Network,
  parseDialAddress,
  parseListenAddress,
  parseRelayAddress,
  type PeerLimits,
  presentListenAddresses,
  type RateLimit,
  SharedHosts
} from '../network/index.ts'
import { nodeIdentity } from './identity.ts'
import type { ServeNetworkOptions, ServeOptions, ServePeerLimits } from './serve-options.ts'
import { swarmInit } from './swarm.ts'

const DEFAULT_LISTEN = ['/ip4/0.0.0.0/tcp/31226', '/ip6/::/tcp/31226']

/**
 * What can be said of the network before a span is loaded, which may take minutes.
 *
 * @throws UsageError naming the flag, IdentityError for a file that was named
 */
export async function checkNetwork(options: ServeOptions): Promise<void> {
  const { listen = [], announce = [], relays = [], allow = [], deny = [], sharedHosts = [], identity } = options
  namingFlag('--listen', () => listen.forEach(parseListenAddress))
  namingFlag('--announce', () => announce.forEach(parseDialAddress))
  namingFlag('--relay', () => relays.forEach(parseRelayAddress))
  namingFlag('--allow', () => new AccessList({ allow }))
  namingFlag('--deny', () => new AccessList({ deny }))
  namingFlag('--shared-hosts', () => new SharedHosts(sharedHosts))
  await swarmInit(options)
  if (identity !== undefined) await nodeIdentity(options, [])
}

/**
 * Starts a server's network. Of the default addresses those are left out that the machine does not have.
 *
 * @throws ListenError, IdentityError, UsageError
 */
export async function startNetwork(
  options: ServeOptions,
  logger: Logger
): Promise<{ network: Network; identity: Identity }> {
  const swarm = await swarmInit(options)
  const present = await presentListenAddresses(DEFAULT_LISTEN)
  const wanted = options.listen ?? (present.length > 0 ? present : DEFAULT_LISTEN)
  const listen = await freeListenAddresses(wanted)
  for (const [i, address] of listen.entries())
    if (address !== wanted[i])
      logger.warn({ wanted: wanted[i], listening: address }, 'port taken, listening on the next')
  const identity = await nodeIdentity(options, listen)
  const network = await createNetwork({
    ...swarm,
    identity,
    listen,
    announce: options.announce ?? [],
    access: { allow: options.allow ?? [], deny: options.deny ?? [] },
    limits: peerLimits(options.peerLimits),
    sharedHosts: options.sharedHosts ?? [],
    relays: options.relays ?? [],
    relaying: options.relaying,
    upnp: options.upnp ?? false,
    ...(options.maxConnections !== undefined && { maxConnections: options.maxConnections }),
    ...(options.maxDials !== undefined && { maxDials: options.maxDials }),
    logger
  })
  return { network, identity }
}

/** Who was quiet may ask for ten seconds' worth at once, and for a stream's window of bytes at the least. */
const BURST_SECONDS = 10
const LEAST_BURST_BYTES = 16 * 1024 * 1024

function peerLimits({ connections, dials, requests, bytes }: ServePeerLimits = {}): PeerLimits {
  const rate = (perSecond: number, least = 1): RateLimit => ({
    perSecond,
    burst: Math.max(least, perSecond * BURST_SECONDS)
  })
  return {
    ...(connections !== undefined && { connections }),
    ...(dials !== undefined && { dials: rate(dials) }),
    ...(requests !== undefined && { streams: rate(requests) }),
    ...(bytes !== undefined && { bytes: rate(bytes, LEAST_BURST_BYTES) })
  }
}

/** Whether clients get in by their peer id only: then all of them are known to the operator. */
export function knowsItsClients({ allow = [] }: Pick<ServeNetworkOptions, 'allow'>): boolean {
  return allow.some(entry => isIP(entry.split('/')[0] ?? '') === 0)
}
