import { createIdentity, createNetwork, type Network } from '../../network/index.ts'
import type { Link } from '../lab/link.ts'

export interface WayInit {
  readonly idleTimeoutMs: number
  readonly keepAliveMs: number
}

/** A client, and a link of its own to each server: what befalls these befalls no other client. */
export class Way {
  readonly ledger: string
  readonly spans: string
  readonly links: readonly Link[]
  readonly #init: WayInit
  #network: Network

  private constructor(network: Network, links: readonly Link[], peers: readonly string[], init: WayInit) {
    const [ledger = '', spans = ''] = links.map((link, i) => `/ip4/127.0.0.1/tcp/${link.port}/p2p/${peers[i]}`)
    this.ledger = ledger
    this.spans = spans
    this.links = links
    this.#init = init
    this.#network = network
  }

  /** @param links to the ledger and to the server of spans, `peers` their ids */
  static async of(links: readonly Link[], peers: readonly string[], init: WayInit): Promise<Way> {
    return new Way(await client(init), links, peers, init)
  }

  get network(): Network {
    return this.#network
  }

  /** The client goes, and another comes in its place. */
  async leave(): Promise<void> {
    const gone = this.#network
    this.#network = await client(this.#init)
    await gone.close()
  }

  get open(): { connections: number; streams: number; leases: number } {
    const { connectionsOpen, streamsOpen, leasesOpen } = this.#network.counters
    return { connections: connectionsOpen, streams: streamsOpen, leases: leasesOpen }
  }

  close(): Promise<void> {
    return this.#network.close()
  }
}

async function client({ idleTimeoutMs, keepAliveMs }: WayInit): Promise<Network> {
  return createNetwork({ identity: await createIdentity(), connectionIdleTimeoutMs: idleTimeoutMs, keepAliveMs })
}
