import { homedir } from 'node:os'
import { join } from 'node:path'
import { createIdentity, type Identity, loadIdentity } from '../network/index.ts'
import type { ServeOptions } from './serve-options.ts'

/**
 * The node's identity: the file that it was given; else one file a port, so that several nodes of one machine keep
 * apart; on port 0, which is another each time, a fresh one that is not kept.
 */
export async function nodeIdentity(options: ServeOptions, listen: readonly string[]): Promise<Identity> {
  if (options.identity !== undefined) return loadIdentity(options.identity)
  const [, port] = /\/tcp\/(\d+)$/.exec(listen[0] ?? '') ?? []
  if (port === undefined || port === '0') return createIdentity()
  return loadIdentity(join(options.dataDir ?? join(homedir(), '.andthen'), `identity-${port}.key`))
}
