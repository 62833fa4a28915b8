import { type Clock, TimeoutError, toAndthenError } from '../../../base/index.ts'
import type { Asker, Network } from '../../../network/index.ts'
import { BusyError } from '../../../session/index.ts'
import type { Rewound, Route, RouteHop, VerifyPolicyName } from '../../../wire/index.ts'
import { RequestError } from '../../errors.ts'
import { createRouteCheck, type Hop, openSession } from '../../owner/index.ts'
import type { DialPolicy } from '../dial-policy.ts'
import type { ServerComponents } from '../facts.ts'

/** When a server of the route that has no room is worth asking again, where it does not say so itself, ms. */
const RETRY_MS = 1_000
/** Servers answer a rewind within 1 s; the route's owner waits 3 s for this node, and is to hear which of them did not, ms. */
const REWIND_MS = 2_500
/** A route that fails begins anew at token 0: a link between two servers that both live is worth several attempts, ms. */
const RESUME_MS = 2_000

export interface RouteComponents extends ServerComponents {
  readonly network: Network
  readonly policy: DialPolicy
}

export interface RouteInit {
  readonly route: Route
  /** Who asked for it, and pays with its allowance of dials. */
  readonly owner: Asker
  readonly verify: VerifyPolicyName
  readonly maxLength: number
  /** Of the owner's session on this node, for those on the others, too. */
  readonly priority: number
}

/**
 * Opens a session on every server of the route. The first that fails ends the rest: they wait for none that says nothing.
 *
 * @throws RequestError ROUTE_FAILED: none is left open
 */
export async function openHops(components: RouteComponents, init: RouteInit, signal: AbortSignal): Promise<Hop[]> {
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])
  const failures: RequestError[] = []
  const opening = init.route.hops.map(async (hop, i) => {
    try {
      // The first is given its inputs by this node; the others are pushed to.
      return { ...(await openHop(components, init, hop, either)), pushed: i > 0 }
    } catch (thrown) {
      failures.push(routeFailed(hop.peer.peerId, thrown))
      failed.abort()
      return null
    }
  })
  const hops = (await Promise.all(opening)).filter(hop => hop !== null)
  const [failure] = failures
  if (failure === undefined) return hops
  for (const { session } of hops) void session.close()
  throw failure
}

/** Begins an epoch on all of them, at `length` tokens, and names to each whom it pushes to. @throws RequestError ROUTE_FAILED */
export async function rewindHops(
  { clock }: { clock: Clock },
  hops: readonly Hop[],
  { epoch, length }: { epoch: number; length: number }
): Promise<void> {
  await Promise.all(
    hops.map(async (hop, i) => {
      const { peerId } = hop.server
      const [upstream, next] = [hops[i - 1], hops[i + 1]]
      const rewind = {
        epoch,
        length,
        ...(upstream === undefined ? { upstreamNone: true } : upstreamOf(upstream)),
        ...(next === undefined ? { nextNone: true } : { next: pushTarget(next) })
      }
      try {
        const { lengths } = await inTime(clock, `a rewind on peer ${peerId}`, rewindHop(hop, rewind))
        if (lengths.length !== length)
          throw new RequestError('GONE', `it holds ${lengths.length} tokens, not ${length}`)
      } catch (thrown) {
        throw routeFailed(peerId, thrown)
      }
    })
  )
}

async function rewindHop({ session }: Hop, rewind: Parameters<Hop['session']['rewind']>[0]): Promise<Rewound> {
  // A rewind overtakes tensors, and a copy that proves the last step must not be overtaken.
  await session.flushed()
  return session.rewind(rewind)
}

function inTime<T>(clock: Clock, phase: string, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(REWIND_MS, () => reject(new TimeoutError(phase, REWIND_MS)))
    void work.then(resolve, reject).finally(cancel)
  })
}

export function routeFailed(peerId: string, thrown: unknown): RequestError {
  const { message, code, details } = toAndthenError(thrown)
  const busy = code === 'BUSY' ? { retryAfterMs: details['retryAfterMs'] ?? RETRY_MS } : {}
  return new RequestError('ROUTE_FAILED', `server ${peerId} of the route failed: ${message}`, {
    retryable: true,
    details: { peer: peerId, cause: code, ...busy }
  })
}

async function openHop(
  components: RouteComponents,
  { owner, verify, maxLength, priority }: RouteInit,
  { peer, from, to }: RouteHop,
  signal: AbortSignal
): Promise<Hop> {
  const { policy, facts, limits } = components
  const target = policy.spend(owner, peer.peerId, policy.targets(peer.peerId, peer.addresses))
  if (target.length === 0) throw new RequestError('REFUSED', 'this node does not dial its addresses for a client')
  const init = { peer: target, modelDigest: facts.modelDigest, from, to, maxLength, priority, verify }
  // Who waits for room while its own is waited for may wait for ever: a route has room at once, or has to be asked again.
  const queued = new AbortController()
  const options = { signal: AbortSignal.any([signal, queued.signal]), onQueued: () => queued.abort() }
  const patience = { maxTensorBytes: limits.creditBytes, resumeMs: () => RESUME_MS }
  const { network } = components
  // Dials are for the owner's sake, also when it is come back to the session.
  const askedBy = owner.host
  const forOwner: Pick<Network, 'openStream'> = {
    openStream: (at, protocol, call) => network.openStream(at, protocol, { ...call, askedBy })
  }
  const opening = openSession({ ...components, network: forOwner }, { ...init, ...patience }, options)
  const session = await opening.catch((thrown: unknown) => {
    throw queued.signal.aborted ? new BusyError('it has no room now', RETRY_MS) : thrown
  })
  // What it signs is for the route's owner to check, who can only hold it against this node: it does not get there unchecked.
  const expected = { modelDigest: facts.modelDigest, owner: facts.peerId, incarnation: session.opened.incarnation }
  const check = createRouteCheck({ ...expected, servers: [{ peerId: peer.peerId, from, to }] }, components.verify)
  return { server: { peerId: peer.peerId, target, from, to, pingMs: 0 }, session, pushed: false, check }
}

function upstreamOf({ server, session }: Hop): { upstream: string; upstreamIncarnation: Uint8Array } {
  return { upstream: server.peerId, upstreamIncarnation: session.opened.incarnation }
}

function pushTarget({ server, session }: Hop): { peerId: string; addresses: string[]; pushKey: Uint8Array } {
  return { peerId: server.peerId, addresses: [...server.target], pushKey: session.opened.pushKey }
}
