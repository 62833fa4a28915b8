import { type FloorRoute, floorMs } from './floor.ts'

/** What one decode step would take by a route, in ms: the network alone, before anything was computed. */
export interface RoutePrediction {
  readonly route: FloorRoute
  readonly networkMs: number
  /** What it could be, as far as pings tell: exact by relay, whose legs are the client's own. */
  readonly leastMs: number
  readonly mostMs: number
}

const routes: readonly FloorRoute[] = ['relay', 'push', 'delegate']

/**
 * A step's network time by each route. The legs between the client and servers are half of their pings. Those between
 * servers were measured by nobody here: by the triangle inequality they lie between the difference of the two servers'
 * distances from the client and their sum, and the middle of that, the larger distance, is taken.
 *
 * @param servers in order of their blocks, with their least round trips in ms
 */
export function predictRoutes(servers: readonly { readonly pingMs: number }[]): RoutePrediction[] {
  const away = (end: number): number => (end === 0 ? 0 : (servers[end - 1]?.pingMs ?? 0) / 2)
  const network = (route: FloorRoute, between: (a: number, b: number) => number): number =>
    floorMs(route, {
      servers: servers.length,
      oneWayMs: (from, to) => between(away(from), away(to)),
      computeMs: [],
      clientMs: 0,
      stepBytes: 0,
      bandwidth: null
    })
  return routes.map(route => ({
    route,
    networkMs: network(route, Math.max),
    leastMs: network(route, (a, b) => Math.abs(a - b)),
    mostMs: network(route, (a, b) => a + b)
  }))
}
