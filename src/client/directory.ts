import { type AndthenError, type Logger, silentLogger, systemClock, toAndthenError } from '../base/index.ts'
import { askInfo } from '../inference/index.ts'
import { type Network, parseDialAddress } from '../network/index.ts'
import { equalBytes, type Info } from '../wire/index.ts'
import { announcedBy } from './announced.ts'
import { PINGS, STRAGGLER_MS } from './constants.ts'
import { ModelMismatchError } from './errors.ts'
import { chooseTiling } from './tiling.ts'

/** A server that may be used. */
export interface Candidate {
  readonly peerId: string
  /** Where the client reaches it. */
  readonly target: readonly string[]
  /** Where other servers reach it, the announced ones first. */
  readonly addresses: readonly string[]
  /** Blocks `from` to `to - 1`. */
  readonly from: number
  readonly to: number
  /** Tokens of one session at most. */
  readonly maxLength: number
  /** Least round trip seen, ms. */
  readonly pingMs: number
  /** Bytes of hidden states that it sends on for one session whose route is left to it; 0: it takes on no routes. */
  readonly delegateBytes: number
}

export interface DirectoryInit {
  /** Multiaddrs in any order; where one has no `/p2p/<peer id>`, whoever answers there is trusted. */
  readonly peers: readonly string[]
  /** What the client works with; servers of anything else are left out. */
  readonly model: { readonly name: string; readonly digest: Uint8Array; readonly blocks: number }
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
  /** Is told of peers that cannot be used, where others can. @default silentLogger */
  readonly logger?: Logger | undefined
}

/**
 * Asks all peers at once what they serve. Once some of them tile the model, the others are waited for no longer than half
 * a second.
 *
 * @throws UsageError for what is no address; ModelMismatchError, or why the first peer could not be asked, where nobody is
 * left; CancelledError
 */
export async function readDirectory(network: Network, init: DirectoryInit): Promise<Candidate[]> {
  const { logger = silentLogger } = init
  const targets = new Map<string, string[]>()
  const unnamed = new Set<string>()
  for (const { peerId, address } of init.peers.map(parseDialAddress))
    if (peerId === undefined) unnamed.add(address)
    else targets.set(peerId, [...(targets.get(peerId) ?? []), address])
  const candidates: Candidate[] = []
  const foreign: { peerId: string; model: string }[] = []
  const failures: AndthenError[] = []
  const stragglers = new AbortController()
  const signal = AbortSignal.any([stragglers.signal, ...(init.signal === undefined ? [] : [init.signal])])
  let cancelTimer: (() => void) | undefined
  // Who is given up because the others suffice did not fail.
  const failed = (error: unknown): void => void (stragglers.signal.aborted || failures.push(toAndthenError(error)))
  const meet = async (address: string): Promise<void> => {
    try {
      const target = await network.resolve(address, { timeoutMs: init.timeoutMs, signal })
      const { peerId = '' } = parseDialAddress(target)
      if (targets.has(peerId)) return
      targets.set(peerId, [target])
      await ask(peerId, [target])
    } catch (error) {
      failed(error)
    }
  }
  const ask = async (peerId: string, target: string[]): Promise<void> => {
    try {
      const info = await askInfo(network, target, { timeoutMs: init.timeoutMs, signal })
      if (!equalBytes(info.modelDigest, init.model.digest)) foreign.push({ peerId, model: info.model })
      else candidates.push(await describe(network, peerId, target, info, signal))
    } catch (error) {
      failed(error)
    }
    const free = candidates.map(({ from, to }) => ({ from, to, cost: [] }))
    if (cancelTimer === undefined && chooseTiling(free, init.model.blocks).missing.length === 0)
      cancelTimer = systemClock.after(STRAGGLER_MS, () => stragglers.abort())
  }
  await Promise.all([...[...targets].map(([peerId, given]) => ask(peerId, given)), ...[...unnamed].map(meet)])
  cancelTimer?.()
  const [failure] = failures
  if (init.signal?.aborted === true && failure !== undefined) throw failure
  if (candidates.length > 0) {
    for (const { message } of [...failures, ...foreign.map(peer => new ModelMismatchError([peer], init.model.name))])
      logger.warn({ reason: message }, 'a peer is left out')
    return candidates
  }
  if (foreign.length > 0) throw new ModelMismatchError(foreign, init.model.name)
  if (failure !== undefined) throw failure
  return []
}

async function describe(
  network: Network,
  peerId: string,
  target: readonly string[],
  info: Info,
  signal: AbortSignal
): Promise<Candidate> {
  let pingMs = Number.POSITIVE_INFINITY
  for (let i = 0; i < PINGS; i++) pingMs = Math.min(pingMs, await network.ping(target, { signal }))
  const addresses = [...new Set([...announcedBy(peerId, info.addresses), ...target])]
  const { from, to, maxLength } = info
  return {
    peerId,
    target,
    addresses,
    from,
    to,
    maxLength,
    pingMs,
    delegateBytes: info.delegate ? info.delegateBytes : 0
  }
}
