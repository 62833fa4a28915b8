/** What a route's shortest path is made of: parts measured one by one, with nothing else going on. */
export interface FloorParts {
  /** Servers in the chain. */
  servers: number
  /** Least one-way time of a few bytes, in ms. Ends: 0 is the client, 1 to `servers` are the servers in order. */
  oneWayMs(from: number, to: number): number
  /** Compute of each server's span, alone, for one step at the same past length, in ms. `[servers]` */
  computeMs: readonly number[]
  /** The client's embedding and head for one step, in ms. */
  clientMs: number
  /** Bytes that one step sends over every leg. */
  stepBytes: number
  /** Bits per second of every leg; null where nothing limits it. */
  bandwidth: number | null
}

export type FloorRoute = 'relay' | 'push' | 'delegate'

type Leg = readonly [from: number, to: number]

/**
 * The legs that one step travels, one after the other. Relay: a round trip to every server. Push: `servers + 1`.
 * Delegate: `servers + 2`, since the last output returns through the first server.
 */
export function routeLegs(route: FloorRoute, servers: number): Leg[] {
  const chain = Array.from({ length: servers }, (_, i) => i + 1)
  switch (route) {
    case 'relay':
      return chain.flatMap((server): Leg[] => [
        [0, server],
        [server, 0]
      ])
    case 'push':
      return pairs([0, ...chain, 0])
    case 'delegate':
      return pairs(servers > 1 ? [0, ...chain, 1, 0] : [0, 1, 0])
  }
}

/**
 * The least time of one step by `route`, in ms: legs, transfer of the step's bytes over each, compute of every span, and
 * the client's own part. What a run takes beyond it is queueing, scheduling and the protocol.
 */
export function floorMs(route: FloorRoute, parts: FloorParts): number {
  const transferMs = parts.bandwidth === null ? 0 : (parts.stepBytes * 8000) / parts.bandwidth
  const network = routeLegs(route, parts.servers).map(([from, to]) => parts.oneWayMs(from, to) + transferMs)
  return sum(network) + sum(parts.computeMs) + parts.clientMs
}

function pairs(stops: readonly number[]): Leg[] {
  return stops.slice(1).map((to, i): Leg => [stops[i] as number, to])
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
