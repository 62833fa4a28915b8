import { UsageError } from '../base/index.ts'
import { loadSwarmKey, type NetworkInit } from '../network/index.ts'
import type { SwarmOptions } from './serve-options.ts'

/**
 * What servers and clients of one swarm have in common.
 *
 * @throws UsageError for a key file that is none, and without one where the swarm must be private
 */
export async function swarmInit(options: SwarmOptions): Promise<Partial<NetworkInit>> {
  const { swarmKey, forcePrivate = false } = options
  const { connectionIdleTimeoutMs, keepAliveMs, tcpKeepAliveMs, holePunching } = options
  if (forcePrivate && swarmKey === undefined)
    throw new UsageError('--force-private allows a private swarm only: give its key with --swarm-key')
  return {
    ...(swarmKey !== undefined && { swarmKey: await loadSwarmKey(swarmKey) }),
    ...(connectionIdleTimeoutMs !== undefined && { connectionIdleTimeoutMs }),
    ...(keepAliveMs !== undefined && { keepAliveMs }),
    ...(tcpKeepAliveMs !== undefined && { tcpKeepAliveMs }),
    ...(holePunching !== undefined && { holePunching })
  }
}
