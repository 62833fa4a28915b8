import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BlockRange } from '../model/index.ts'
import type { Link } from './lab/link.ts'
import { Relay } from './lab/relay.ts'
import type { LinkShape } from './lab/shape.ts'
import { type ServerProcess, startServers } from './processes.ts'

export interface NodesInit {
  /** Node's arguments that start `serve`: the program, and what all servers are given. */
  readonly serve: readonly string[]
  /** The model's folder. */
  readonly model: string
  /** One server each. */
  readonly spans: readonly BlockRange[]
  /** Of each link; null: plain loopback. */
  readonly shape: LinkShape | null
  /** Sessions at a time on each server. @default 8 */
  readonly maxSessions?: number
  /** Of the links' jitter. */
  readonly seed: number
}

/** Servers of a benchmark on this machine, each behind a link of its own where links are shaped. */
export class Nodes {
  /** Where each server is reached, in the order of the spans. */
  readonly peers: readonly string[]
  /** The same, with the base URL of each one's admin port, and its process. */
  readonly servers: readonly { readonly address: string; readonly admin: string; readonly pid: number }[]
  /** The first server's, all others are alike; null without shaped links. */
  readonly link: Link | null
  readonly #processes: readonly ServerProcess[]
  readonly #release: () => Promise<void>

  private constructor(servers: readonly ServerProcess[], link: Link | null, release: () => Promise<void>) {
    this.peers = servers.flatMap(({ ready }) => ready.addresses.slice(0, 1))
    this.servers = servers.flatMap(({ ready: { addresses, admin, pid } }) =>
      addresses.slice(0, 1).map(address => ({ address, admin, pid }))
    )
    this.link = link
    this.#processes = servers
    this.#release = release
  }

  /** @throws {ProcessError} when a server or the relay does not start */
  static async start({ serve, model, spans, shape, maxSessions = 8, seed }: NodesInit): Promise<Nodes> {
    const dataDir = await mkdtemp(join(tmpdir(), 'andthen-bench-'))
    const relay = shape === null ? null : new Relay()
    const release = async (): Promise<void> => {
      await relay?.close()
      await rm(dataDir, { recursive: true, force: true })
    }
    try {
      const links: Link[] = []
      const inits = []
      for (const [i, { from, to }] of spans.entries()) {
        const server = ['--model', model, '--blocks', `${from}-${to}`, '--data-dir', dataDir]
        // One thread a server: they share the machine's cores.
        const limits = ['--threads', '1', '--max-sessions', String(maxSessions)]
        const listen = relay === null ? 0 : await freePort()
        const addresses = ['--listen', address(listen)]
        if (relay !== null && shape !== null) {
          const link = await relay.startLink({ ...shape, target: { host: '127.0.0.1', port: listen }, seed: seed + i })
          links.push(link)
          // What servers push goes by the port that is announced, and so by the link.
          addresses.push('--announce', address(link.port))
        }
        inits.push({ arguments: [...serve, '--log-format', 'json', ...server, ...limits, ...addresses] })
      }
      return new Nodes(await startServers(inits), links[0] ?? null, release)
    } catch (error) {
      await release()
      throw error
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#processes.map(server => server.stop()))
    await this.#release()
  }
}

/** `blocks` in so many spans, as even as can be. */
export function evenSpans(blocks: number, servers: number): BlockRange[] {
  const start = (i: number): number => Math.floor((i * blocks) / servers)
  return Array.from({ length: servers }, (_, i) => ({ from: start(i), to: start(i + 1) }))
}

function address(port: number): string {
  return `/ip4/127.0.0.1/tcp/${port}`
}

/** A link must know its target's port before the server listens there. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}
