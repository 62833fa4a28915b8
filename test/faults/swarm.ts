import type { Logger } from '../../src/base/index.ts'
import { silentLogger, systemClock } from '../../src/base/index.ts'
import { connect, type Connection } from '../../src/client/index.ts'
import { createLedger, createSpanLane, InferenceServer, type Ledger, serveInfo } from '../../src/inference/index.ts'
import { buildSpanGraph, kvBytesPerToken, type Model, openModel } from '../../src/model/index.ts'
import { createIdentity, createNetwork, type Identity, type Network, verifySignature } from '../../src/network/index.ts'
import { planServe } from '../../src/node/plan.ts'
import { wireInfo } from '../../src/node/serve-info.ts'
import { loadSpan } from '../../src/runtime/index.ts'
import { direct } from '../../src/session/index.ts'
import { createDigester, type Digester } from '../../src/wire/index.ts'
import { shakespeare } from '../e2e/model.ts'
import { FaultyNetwork } from './faulty-network.ts'
import { RankedNetwork } from './network-over.ts'

export type Span = readonly [from: number, to: number]
export const thirds: readonly Span[] = [
  [0, 4],
  [4, 8],
  [8, 12]
]

const MAX_LENGTH = 512
const SLOTS = 4

/** A line that a node logged at `info` or above. */
export interface LogLine {
  readonly context: object
  readonly message: string
  /** Tokens that the node's sessions had committed then. */
  readonly committed: readonly number[]
}

/** A server of the shipped model in this process, on sockets of its own, with a network that may be told to misbehave. */
export interface FaultyNode {
  readonly peerId: string
  readonly address: string
  readonly from: number
  readonly to: number
  readonly identity: Identity
  readonly network: FaultyNetwork
  readonly server: InferenceServer
  readonly ledger: Ledger
  readonly digest: Digester
  readonly log: LogLine[]
}

type Close = () => Promise<void>

/** Servers and clients that end together. */
export class Swarm {
  readonly model: Model
  readonly nodes: FaultyNode[] = []
  readonly #closes: Close[] = []

  private constructor(model: Model) {
    this.model = model
  }

  static async of(...spans: readonly Span[]): Promise<Swarm> {
    const swarm = new Swarm(await openModel(shakespeare))
    for (const span of spans) await swarm.#add(span)
    return swarm
  }

  /** A client of these nodes, the first of equals first, that has heard nothing of them yet. */
  async connect(nodes: readonly FaultyNode[] = this.nodes, logger: Logger = silentLogger): Promise<Connection> {
    const network = new RankedNetwork(
      await this.network(),
      nodes.map(({ peerId }) => peerId)
    )
    const peers = nodes.map(node => node.network.addresses()[0] ?? '')
    const connection = await connect({ network, model: this.model, logger }, { peers, threads: 1 })
    this.#closes.push(() => connection.close())
    return connection
  }

  /** Somebody who can dial. */
  async network(): Promise<Network> {
    const network = await createNetwork({ identity: await createIdentity() })
    this.#closes.push(() => network.close())
    return network
  }

  /** All nodes as they were at first. */
  async heal(): Promise<void> {
    for (const node of this.nodes) {
      node.network.fault = (step, forward) => forward(step)
      node.network.pushed.length = 0
      node.log.length = 0
      for (const session of node.server.sessions()) await node.server.endSession(session.id)
      Object.assign(node.ledger, createLedger())
    }
  }

  async close(): Promise<void> {
    for (const close of this.#closes.splice(0).reverse()) await close()
  }

  async #add([from, to]: Span): Promise<void> {
    const { model } = this
    const place = { model: shakespeare, device: 'cpu', blocks: { from, to } } as const
    const plan = await planServe({ ...place, maxLength: MAX_LENGTH, maxSessions: SLOTS })
    const graph = buildSpanGraph(model, { from, to }, { maxLength: MAX_LENGTH })
    const runner = await loadSpan(graph, { slots: SLOTS, maxLength: MAX_LENGTH, threads: 1, logger: silentLogger })
    this.#closes.push(() => runner.close())
    const lane = createSpanLane({ clock: systemClock, runner }, { policy: direct() })
    this.#closes.push(() => lane.close())
    const identity = await createIdentity()
    const { peerId, sign } = identity
    const network = new FaultyNetwork(await createNetwork({ identity, listen: ['/ip4/127.0.0.1/tcp/0'] }))
    this.#closes.push(() => network.close())
    const modelDigest = await model.digest()
    const { hiddenSize } = runner
    const digest = createDigester({ modelDigest, hiddenSize })
    const ledger = createLedger()
    const log: LogLine[] = []
    const server = new InferenceServer(
      {
        facts: { peerId, modelDigest, from, to, hiddenSize, maxLength: MAX_LENGTH },
        limits: { maxTentative: 8, creditSteps: 16, creditBytes: 16 * 1024 * 1024 },
        ...{ runner, lane, digest, sign, network, ledger },
        verify: verifySignature,
        clock: systemClock,
        logger: recordingLogger((context, message) => {
          const committed = server.sessions().map(session => session.committed)
          log.push({ context, message, committed })
        })
      },
      { maxSessions: SLOTS, kvBytesPerToken: kvBytesPerToken(model.spec, { from, to }) }
    )
    this.#closes.push(() => server.close())
    await serveInfo({ network, logger: silentLogger }, () =>
      wireInfo({ model, modelDigest, plan, runner, network }, server, false)
    )
    await server.start()
    const [address = ''] = network.addresses()
    this.nodes.push({ peerId, address, from, to, identity, network, server, ledger, digest, log })
  }
}

function recordingLogger(onLine: (context: object, message: string) => void): Logger {
  const quiet = (): void => undefined
  const logger: Logger = {
    trace: quiet,
    debug: quiet,
    info: onLine,
    warn: onLine,
    error: onLine,
    child: () => logger
  }
  return logger
}
