import { setMaxListeners } from 'node:events'
import { type AndthenError, CancelledError, type Logger, toAndthenError } from '../base/index.ts'
import { askInfo } from '../inference/index.ts'
import { type Network, parseDialAddress } from '../network/index.ts'
import { equalBytes, type Info } from '../wire/index.ts'
import { announcedBy } from './announced.ts'
import { type AskingComponents, askPatiently } from './asking.ts'
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

export interface DirectoryComponents extends AskingComponents {
  readonly network: Network
  /** Is told of peers that cannot be used, where others can, and of those that are asked again. */
  readonly logger: Logger
}

export interface DirectoryInit {
  /** Multiaddrs in any order; where one has no `/p2p/<peer id>`, whoever answers there is trusted. */
  readonly peers: readonly string[]
  /** What the client works with; servers of anything else are left out. */
  readonly model: { readonly name: string; readonly digest: Uint8Array; readonly blocks: number }
  /** For which a peer is asked, again and again where it may only be busy, ms. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

export interface Directory {
  readonly candidates: readonly Candidate[]
  /** Why peers could not be asked. */
  readonly failures: readonly AndthenError[]
}

/**
 * Asks all peers at once what they serve. Once some of them tile the model, the others are waited for no longer than half
 * a second.
 *
 * @throws UsageError for what is no address; ModelMismatchError, or why the first peer could not be asked, where nobody is
 * left; CancelledError
 */
export async function readDirectory(components: DirectoryComponents, init: DirectoryInit): Promise<Directory> {
  const { network, clock, logger } = components
  const { model, timeoutMs } = init
  const { targets, unnamed } = targetsOf(init.peers)
  const candidates: Candidate[] = []
  const foreign: { peerId: string; model: string }[] = []
  const failures: AndthenError[] = []
  const stragglers = new AbortController()
  const signal = AbortSignal.any([stragglers.signal, ...(init.signal === undefined ? [] : [init.signal])])
  // Each peer that is asked listens to it.
  setMaxListeners(0, signal)
  let cancelTimer: (() => void) | undefined

  const ask = async (peer: string, attempt: (leftMs: () => number) => Promise<void>): Promise<void> => {
    let told = false
    const onFailed = ({ message: reason }: AndthenError): void => {
      logger[told ? 'debug' : 'warn']({ peer, reason }, 'a peer could not be asked, and is asked again')
      told = true
    }
    try {
      await askPatiently(components, attempt, { peer, timeoutMs, signal, onFailed })
    } catch (thrown) {
      // Who is given up because the others suffice did not fail.
      if (!(thrown instanceof CancelledError)) failures.push(toAndthenError(thrown))
    }
    const free = candidates.map(({ from, to }) => ({ from, to, cost: [] }))
    if (cancelTimer === undefined && chooseTiling(free, model.blocks).missing.length === 0)
      cancelTimer = clock.after(STRAGGLER_MS, () => stragglers.abort())
  }
  const meet = async (peerId: string, target: readonly string[], leftMs: () => number): Promise<void> => {
    const info = await askInfo(network, target, { signal, timeoutMs: leftMs(), clock })
    if (!equalBytes(info.modelDigest, model.digest)) foreign.push({ peerId, model: info.model })
    else candidates.push(candidate(peerId, target, info, await leastPing(network, target, leftMs, signal)))
  }
  const askNamed = ([peerId, target]: [string, string[]]): Promise<void> =>
    ask(peerId, leftMs => meet(peerId, target, leftMs))
  const askUnnamed = (address: string): Promise<void> => {
    let found: string | undefined
    return ask(address, async leftMs => {
      const target = await network.resolve(found ?? address, { signal, timeoutMs: leftMs() })
      const { peerId = '' } = parseDialAddress(target)
      // Who was given by its name as well, or at another address, is asked once.
      if (found === undefined && targets.has(peerId)) return
      found = target
      targets.set(peerId, [target])
      await meet(peerId, [target], leftMs)
    })
  }

  await Promise.all([...[...targets].map(askNamed), ...[...unnamed].map(askUnnamed)])
  cancelTimer?.()
  if (init.signal?.aborted === true) throw new CancelledError('asking the peers')
  const [failure] = failures
  if (candidates.length === 0) {
    if (foreign.length > 0) throw new ModelMismatchError(foreign, model.name)
    if (failure !== undefined) throw failure
  }
  for (const { message } of [...failures, ...foreign.map(peer => new ModelMismatchError([peer], model.name))])
    logger.warn({ reason: message }, 'a peer is left out')
  return { candidates, failures }
}

/** The addresses of each peer, and those of which it is not said whose they are. */
function targetsOf(peers: readonly string[]): { targets: Map<string, string[]>; unnamed: Set<string> } {
  const targets = new Map<string, string[]>()
  const unnamed = new Set<string>()
  for (const { peerId, address } of peers.map(parseDialAddress))
    if (peerId === undefined) unnamed.add(address)
    else targets.set(peerId, [...(targets.get(peerId) ?? []), address])
  return { targets, unnamed }
}

async function leastPing(
  network: Network,
  target: readonly string[],
  leftMs: () => number,
  signal: AbortSignal
): Promise<number> {
  let pingMs = Number.POSITIVE_INFINITY
  for (let i = 0; i < PINGS; i++) pingMs = Math.min(pingMs, await network.ping(target, { signal, timeoutMs: leftMs() }))
  return pingMs
}

function candidate(peerId: string, target: readonly string[], info: Info, pingMs: number): Candidate {
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
