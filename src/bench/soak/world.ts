import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createIdentity, createNetwork } from '../../network/index.ts'
import { Child } from '../child.ts'
import { Relay } from '../lab/relay.ts'
import { ServerProcess } from '../processes.ts'
import { programUrl } from '../program.ts'
import type { LedgerCalls } from './ledger-calls.ts'
import { SpanClient } from './span-client.ts'
import { Way } from './way.ts'

export interface WorldInit {
  /** Node's arguments that start `serve`: the program, and what it is given in any case. */
  readonly serve: readonly string[]
  /** The model's folder. */
  readonly model: string
  readonly ways: number
  readonly idleTimeoutMs: number
  readonly keepAliveMs: number
  readonly callTimeoutMs: number
}

/** What a soak takes place in: a ledger, a server of spans, clients, and the links between them. */
export class World {
  readonly ledger: Child<LedgerCalls>
  readonly server: ServerProcess
  readonly spans: SpanClient
  readonly ways: readonly Way[]
  readonly #release: () => Promise<void>

  private constructor(
    parts: { ledger: Child<LedgerCalls>; server: ServerProcess; spans: SpanClient; ways: readonly Way[] },
    release: () => Promise<void>
  ) {
    this.ledger = parts.ledger
    this.server = parts.server
    this.spans = parts.spans
    this.ways = parts.ways
    this.#release = release
  }

  static async start(init: WorldInit): Promise<World> {
    const dataDir = await mkdtemp(join(tmpdir(), 'andthen-soak-'))
    const relay = new Relay()
    const ledger = new Child<LedgerCalls>('the ledger', programUrl('ledger-process', import.meta.url))
    const ways: Way[] = []
    const servers: ServerProcess[] = []
    const release = async (): Promise<void> => {
      await Promise.all(ways.map(way => way.close()))
      await Promise.all([relay.close(), ledger.close(), ...servers.map(server => server.stop())])
      await rm(dataDir, { recursive: true, force: true })
    }
    try {
      const { idleTimeoutMs, keepAliveMs } = init
      const server = await ServerProcess.start({ arguments: [...init.serve, ...serveArguments(init, dataDir)] })
      servers.push(server)
      const started = await ledger.ask('start', { idleTimeoutMs, keepAliveMs })
      const address = server.ready.addresses[0] ?? ''
      const targets = [started.port, portOf(address)].map(port => ({ host: '127.0.0.1', port }))
      for (let i = 0; i < init.ways; i++) {
        const links = await Promise.all(targets.map(target => relay.startLink({ target, seed: i })))
        ways.push(await Way.of(links, [started.peerId, server.ready.peerId], { idleTimeoutMs, keepAliveMs }))
      }
      const spans = await learn(address, init.callTimeoutMs)
      return new World({ ledger, server, spans, ways }, release)
    } catch (error) {
      await release()
      throw error
    }
  }

  get serverAddress(): { address: string; port: number } {
    const address = this.server.ready.addresses[0] ?? ''
    return { address, port: portOf(address) }
  }

  close(): Promise<void> {
    return this.#release()
  }
}

function serveArguments({ model, idleTimeoutMs, keepAliveMs }: WorldInit, dataDir: string): string[] {
  const seconds = (ms: number): string => `${ms}ms`
  return [
    ...[
      '--model',
      model,
      '--blocks',
      '0-1',
      '--listen',
      '/ip4/127.0.0.1/tcp/0',
      '--data-dir',
      dataDir,
      '--threads',
      '1'
    ],
    ...['--connection-idle-timeout', seconds(idleTimeoutMs), '--keep-alive', seconds(keepAliveMs), '--grace', '0'],
    // All clients, and all who pour, come from one host.
    ...['--peer-dials', '1000', '--max-length', '16', '--log-format', 'json', '--log-level', 'warn']
  ]
}

/** What the server answers while nothing disturbs it. */
async function learn(address: string, timeoutMs: number): Promise<SpanClient> {
  const network = await createNetwork({ identity: await createIdentity() })
  try {
    return await SpanClient.of(network, address, timeoutMs)
  } finally {
    await network.close()
  }
}

function portOf(address: string): number {
  return Number(/\/tcp\/(\d+)/.exec(address)?.[1])
}
