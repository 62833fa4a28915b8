import type { Route } from '../../wire/index.ts'
import { KEPT_SLAB_BYTES } from '../owner/index.ts'
import { RequestError } from '../errors.ts'

/** What is kept of a route longer than needed at most: less often thrown away is less often allocated. */
export const MAX_KEPT_BYTES = 8 * 1024 * 1024
/** Windows of an owner's credit: one of steps that are not answered, one of answered ones whose tensors are behind. */
const WINDOWS = 2
/** When there may be room again: another route has to end first. */
const RETRY_MS = 1_000

export interface RouteSize {
  /** Tokens of the session. */
  readonly maxLength: number
  /** Of one token's hidden states. */
  readonly rowBytes: number
  /** Bytes of tensors that its owner may have under way. */
  readonly creditBytes: number
}

/** Bytes of hidden states that one boundary of a route may have under way. */
export function underWayBytes({ maxLength, rowBytes, creditBytes }: RouteSize): number {
  return WINDOWS * Math.min(creditBytes, maxLength * rowBytes)
}

/** Bytes that a route takes at most: what is under way at each boundary behind this node, and what is kept of it. */
export function routeMemory({ hops }: Pick<Route, 'hops'>, size: RouteSize): number {
  return MAX_KEPT_BYTES + hops.length * (underWayBytes(size) + KEPT_SLAB_BYTES)
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
