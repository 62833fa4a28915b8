import { isIP } from 'node:net'
import type { Logger } from '../base/index.ts'
import {
  createNetwork,
  freeListenAddresses,
  type Identity,
  type Network,
  presentListenAddresses
} from '../network/index.ts'
import { nodeIdentity } from './identity.ts'
import type { ServeNetworkOptions, ServeOptions } from './serve-options.ts'
import { swarmInit } from './swarm.ts'

const DEFAULT_LISTEN = ['/ip4/0.0.0.0/tcp/31226', '/ip6/::/tcp/31226']

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
    ...(options.maxConnections !== undefined && { maxConnections: options.maxConnections }),
    logger
  })
  return { network, identity }
}

/** Whether clients get in by their peer id only: then all of them are known to the operator. */
export function knowsItsClients({ allow = [] }: Pick<ServeNetworkOptions, 'allow'>): boolean {
  return allow.some(entry => isIP(entry.split('/')[0] ?? '') === 0)
}
