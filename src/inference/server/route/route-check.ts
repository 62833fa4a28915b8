import { type Open, type Route, VerifyPolicy, type VerifyPolicyName } from '../../../wire/index.ts'
import { RequestError } from '../../errors.ts'

/** Servers of one route at most: more legs than any sensible chain has. */
const MAX_HOPS = 64

/**
 * Whether this node takes on a route: its spans follow on each other from this node's last block, it ends, and it asks
 * for no more bytes than are announced.
 *
 * @param from one past this node's last block
 * @param mostBytes of hidden states that one session may have sent on
 * @throws RequestError ROUTE, QUOTA
 */
export function checkRoute(route: Route, from: number, mostBytes: number): void {
  const { hops, hopsLeft, bytesQuota } = route
  if (hops.length === 0 || hops.length > MAX_HOPS)
    throw new RequestError('ROUTE', `a route of ${hops.length} more servers; 1 to ${MAX_HOPS} are taken`)
  if (hopsLeft < hops.length)
    throw new RequestError('ROUTE', `a route of ${hops.length} more servers with ${hopsLeft} hops left`)
  let boundary = from
  for (const hop of hops) {
    if (hop.from !== boundary || hop.to <= hop.from)
      throw new RequestError('ROUTE', `blocks ${hop.from}-${hop.to} in a route where ${boundary} is next`)
    boundary = hop.to
  }
  if (!(bytesQuota <= mostBytes))
    throw new RequestError(
      'QUOTA',
      `a route of ${bytesQuota} bytes; this node sends on ${mostBytes} at most for a session`
    )
}

export function verifyPolicyName({ verify }: Open): VerifyPolicyName {
  const names = Object.keys(VerifyPolicy) as VerifyPolicyName[]
  return names.find(name => VerifyPolicy[name] === verify) ?? 'auto'
}
