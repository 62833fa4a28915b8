import type { Route } from '../../../wire/index.ts'
import { RequestError } from '../../errors.ts'
import { KEPT_SLAB_BYTES } from '../../owner/index.ts'
import type { ServerComponents, SpanFacts } from '../facts.ts'

/** What is kept of a route longer than needed at most: less often thrown away is less often allocated. */
export const MAX_KEPT_BYTES = 8 * 1024 * 1024
/** Windows of an owner's credit: one of steps that are not answered, one of answered ones whose tensors are behind. */
const WINDOWS = 2
/** When there may be room again: another route has to end first. */
const RETRY_MS = 1_000

type ServerLimits = Pick<ServerComponents, 'limits'> & { readonly facts: Pick<SpanFacts, 'hiddenSize'> }

/** Bytes of hidden states that each boundary of a route may have under way, whose session is of so many tokens. */
export function underWayBytes(maxLength: number, { facts, limits }: ServerLimits): number {
  return WINDOWS * Math.min(limits.creditBytes, maxLength * facts.hiddenSize * Float32Array.BYTES_PER_ELEMENT)
}

/** Bytes that a route takes at most: what is under way at each boundary behind this node, and what is kept of it. */
export function routeMemory(route: Pick<Route, 'hops'> | null, maxLength: number, server: ServerLimits): number {
  if (route === null) return 0
  return MAX_KEPT_BYTES + route.hops.length * (underWayBytes(maxLength, server) + KEPT_SLAB_BYTES)
}

/**
 * Whether there is memory for another route.
 *
 * @param bytes that it needs, that the live ones need, and that all may take
 * @throws RequestError QUOTA: retryable where it would fit alone
 */
export function checkRouteMemory({ need, taken, most }: { need: number; taken: number; most: number }): void {
  if (need > most)
    throw new RequestError('QUOTA', `a route that takes ${need} bytes of memory; this node has ${most} for all routes`)
  if (taken + need <= most) return
  throw new RequestError(
    'QUOTA',
    `a route that takes ${need} bytes of memory; of the ${most} that this node has for routes, ${taken} are taken`,
    { retryable: true, details: { what: 'delegate memory', retryAfterMs: RETRY_MS } }
  )
}
