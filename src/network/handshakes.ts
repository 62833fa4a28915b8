import type { MultiaddrConnection } from '@libp2p/interface'
import type { NetworkCounters } from './counters.ts'
import { hostOf, networkOf } from './peer-address.ts'

type Pending = Pick<MultiaddrConnection, 'remoteAddr' | 'abort'>

/**
 * Handshakes of those who dialled. Who connects and says nothing takes a place for as long as a handshake may last; where
 * all are taken, the oldest goes of the host that has most of them. Honest ones take a few round trips, and fill nothing.
 */
export class Handshakes {
  readonly #counters: NetworkCounters
  readonly #most: number
  /** By host, the oldest first. */
  readonly #pending = new Map<string, Set<Pending>>()
  #size = 0

  constructor(components: { readonly counters: NetworkCounters }, init: { readonly most: number }) {
    this.#counters = components.counters
    this.#most = init.most
  }

  /** Runs the handshake of a connection that came in. */
  async run<T>(connection: Pending, handshake: () => Promise<T>): Promise<T> {
    if (this.#size >= this.#most) this.#makeRoom()
    const host = networkOf(hostOf(connection.remoteAddr.toString()))
    const ofHost = this.#pending.get(host) ?? new Set()
    this.#pending.set(host, ofHost.add(connection))
    this.#size++
    try {
      return await handshake()
    } finally {
      this.#end(host, connection)
    }
  }

  #makeRoom(): void {
    let [host, most]: [string, ReadonlySet<Pending>] = ['', new Set()]
    for (const [from, pending] of this.#pending) if (pending.size > most.size) [host, most] = [from, pending]
    const [oldest] = most
    if (oldest === undefined) return
    this.#end(host, oldest)
    this.#counters.refusedFull++
    oldest.abort(new Error('too many handshakes are under way'))
  }

  #end(host: string, connection: Pending): void {
    const ofHost = this.#pending.get(host)
    if (ofHost?.delete(connection) !== true) return
    this.#size--
    if (ofHost.size === 0) this.#pending.delete(host)
  }
}
