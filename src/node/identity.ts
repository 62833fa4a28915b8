import { homedir } from 'node:os'
import { join } from 'node:path'
import { AndthenError, makeProblem } from '../base/index.ts'
import { createIdentity, type Identity, IdentityError, loadIdentity } from '../network/index.ts'
import type { ServeOptions } from './serve-options.ts'

/**
 * The node's identity: the file that it was given; else one file a port, so that several nodes of one machine keep
 * apart; on port 0, which is another each time, a fresh one that is not kept.
 *
 * @throws IdentityError
 */
export async function nodeIdentity(options: ServeOptions, listen: readonly string[]): Promise<Identity> {
  if (options.identity !== undefined) return load(options.identity, 'give another place')
  const [, port] = /\/tcp\/(\d+)$/.exec(listen[0] ?? '') ?? []
  if (port === undefined || port === '0') return createIdentity()
  return load(
    join(options.dataDir ?? join(homedir(), '.andthen'), `identity-${port}.key`),
    '--data-dir names another place'
  )
}

async function load(file: string, advice: string): Promise<Identity> {
  try {
    return await loadIdentity(file)
  } catch (cause) {
    if (cause instanceof AndthenError) throw cause
    throw new IdentityError(file, `cannot be used: ${makeProblem(cause)}; ${advice}`, {
      cause
    })
  }
}
