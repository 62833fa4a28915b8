import type { Candidate } from './directory.ts'
import type { Standing } from './standing.ts'
import { chooseTiling, type Tiling } from './tiling.ts'

export type RouteName = 'relay' | 'push' | 'delegate'

export interface ServerChoiceInit {
  /** Servers that can hold what is to be held. */
  readonly candidates: readonly Candidate[]
  /** Of the whole model. */
  readonly blocks: number
  readonly route: RouteName
  /** Bytes of hidden states that a route that is left to a server may carry. */
  readonly routeBytes: number
}

/** Servers in order of their blocks, and the ranges that none fills. */
export interface ChosenServers {
  readonly servers: readonly Candidate[]
  readonly missing: Tiling<unknown>['missing']
}

/** Which servers make a chain, and which of them push: what is held against each decides, then what it would cost. */
export class ServerChoice {
  readonly #standing: Standing
  readonly #init: ServerChoiceInit

  constructor(components: { standing: Standing }, init: ServerChoiceInit) {
    this.#standing = components.standing
    this.#init = init
  }

  /** @param isOpen whether there is a session on this server, which need not be brought to a length from nothing */
  choose(isOpen: (peerId: string) => boolean): ChosenServers {
    const { candidates, blocks } = this.#init
    const standing = this.#standing
    const usable = candidates.filter(({ peerId }) => !standing.isExcluded(peerId))
    const choices = usable.map(server => {
      const blocksToReplay = isOpen(server.peerId) ? 0 : server.to - server.from
      const banned = standing.isBanned(server.peerId) ? 1 : 0
      const waits = standing.busyMs(server.peerId) > 0 || standing.backOffMs(server.peerId) > 0 ? 1 : 0
      const distrusted = standing.isDistrusted(server.peerId) ? 1 : 0
      const suspicion = standing.suspicion(server.peerId)
      const takesNoRoute = this.#init.route === 'delegate' && !this.#takesRoute(server) ? 1 : 0
      const cost = [banned, waits, distrusted, suspicion, blocksToReplay, takesNoRoute, 1, server.pingMs]
      return { server, from: server.from, to: server.to, cost }
    })
    const { chosen, missing } = chooseTiling(choices, blocks)
    return { servers: chosen.map(({ server }) => server), missing }
  }

  /** No servers that might be used now tile the model without this one. */
  isNeeded(peerId: string): boolean {
    const { candidates, blocks } = this.#init
    const standing = this.#standing
    const others = candidates.filter(
      other => other.peerId !== peerId && !standing.isExcluded(other.peerId) && standing.backOffMs(other.peerId) === 0
    )
    const free = others.map(({ from, to }) => ({ from, to, cost: [] }))
    return chooseTiling(free, blocks).missing.length > 0
  }

  /** The server at `place` in this chain is pushed to by the one before it. */
  isPushed(servers: readonly Candidate[], place: number): boolean {
    const [upstream, server] = [servers[place - 1], servers[place]]
    if (this.#init.route === 'relay' || upstream === undefined || server === undefined) return false
    return !this.#standing.isRelayed(upstream.peerId, server.peerId)
  }

  /**
   * A route is left to its first server where that one takes on routes and has got to the others, and it pushes all along;
   * else the client runs it by push and relay.
   */
  delegates(servers: readonly Candidate[]): boolean {
    const [first, ...others] = servers
    if (this.#init.route !== 'delegate' || first === undefined || others.length === 0) return false
    if (!this.#takesRoute(first)) return false
    return others.every(
      ({ peerId }, i) => this.isPushed(servers, i + 1) && !this.#standing.isApart(first.peerId, peerId)
    )
  }

  /** This server says of itself that it may be left a route as long as this one's. */
  announcesRoutes(server: Candidate | undefined): boolean {
    return server !== undefined && server.delegateBytes >= this.#init.routeBytes
  }

  /** Where it would be left a route, being the first and not the only one, it takes that on. */
  #takesRoute(server: Candidate): boolean {
    if (server.from > 0 || server.to === this.#init.blocks) return true
    return this.announcesRoutes(server) && !this.#standing.refusesRoutes(server.peerId)
  }
}
