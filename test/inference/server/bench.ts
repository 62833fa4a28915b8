import { createHash } from 'node:crypto'
import { ManualClock, silentLogger } from '../../../src/base/index.ts'
import { createLedger, createSpanLane, InferenceServer, type Ledger } from '../../../src/inference/index.ts'
import { oldest, type ParkingLot } from '../../../src/session/index.ts'
import {
  attachFrames,
  type AttachMessage,
  createDigester,
  INFERENCE_PROTOCOL,
  MessageReader,
  MessageWriter,
  type Open,
  type Outgoing,
  ownerFrames,
  type OwnerMessage,
  PUSH_PROTOCOL,
  pushFrames,
  type PushMessage,
  type Receipt,
  serverFrames,
  type ServerMessage,
  signReceipt,
  type Statement
} from '../../../src/wire/index.ts'
import { FakeRunner, HIDDEN } from './fake-runner.ts'
import { MemoryNetworks, type MemoryStream } from './memory-network.ts'

export const modelDigest = new Uint8Array(32).fill(7)
const digest = createDigester({ modelDigest, hiddenSize: HIDDEN })
export const MAX_LENGTH = 70_000
export const CREDIT_BYTES = 2 * 1024 * 1024

/** Stands for a key pair: only its peer can make it. */
const signatureOf = (peer: string, bytes: Uint8Array): Uint8Array =>
  createHash('sha256').update(`${peer} signs `).update(bytes).digest()

/** Lets everything run that waits for nothing but promises and streams. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 30; turn++) await new Promise(resolve => setImmediate(resolve))
}

export interface Node {
  readonly peerId: string
  readonly server: InferenceServer
  readonly runner: FakeRunner
  readonly ledger: Ledger
  readonly from: number
  readonly to: number
}

export interface NodeOptions {
  readonly parking?: ParkingLot
  /** @default CREDIT_BYTES */
  readonly creditBytes?: number
  /** In whose name it signs. @default its own */
  readonly signer?: string
  readonly init?: Partial<ConstructorParameters<typeof InferenceServer>[1]>
}

type Kind = ServerMessage['kind']
type Value<K extends Kind> = Extract<ServerMessage, { kind: K }>['value']

/** An owner's end of one stream: what it was told, in order. */
export class Owner {
  readonly stream: MemoryStream
  readonly told: (ServerMessage & { tensor?: Uint8Array })[] = []
  readonly #writer: MessageWriter<OwnerMessage>

  constructor(stream: MemoryStream) {
    this.stream = stream
    this.#writer = new MessageWriter({ codec: ownerFrames, sink: stream })
    const reader = new MessageReader<ServerMessage>(
      {
        codec: serverFrames,
        handler: {
          onMessage: (message, bytes) => {
            if (bytes > 0) return new Uint8Array(bytes)
            this.told.push(message)
            return null
          },
          onTensor: (message, tensor) => this.told.push({ ...message, tensor })
        }
      },
      { maxTensorBytes: CREDIT_BYTES }
    )
    stream.onData = chunk => reader.push(chunk)
  }

  send(message: Outgoing<OwnerMessage>, tensor?: Uint8Array): void {
    if (tensor === undefined) this.#writer.send(message)
    else this.#writer.sendTensor(message, tensor)
  }

  step(value: Extract<Outgoing<OwnerMessage>, { kind: 'step' }>['value'], tensor?: Uint8Array): void {
    this.send({ kind: 'step', value: { n: 1, ...value } }, tensor)
  }

  /** All messages of a kind so far. */
  all<K extends Kind>(kind: K): Value<K>[] {
    return this.told.filter(message => message.kind === kind).map(message => message.value as Value<K>)
  }

  /** The newest message of a kind. */
  last<K extends Kind>(kind: K): Value<K> {
    const found = this.all(kind).at(-1)
    if (found === undefined) throw new Error(`no ${kind} among ${JSON.stringify(this.told.map(({ kind: k }) => k))}`)
    return found
  }

  get codes(): string[] {
    return this.all('error').map(({ code }) => code)
  }
}

/** A server upstream whose every word the test chooses. */
export class Upstream {
  readonly peerId: string
  readonly stream: MemoryStream
  readonly attached: AttachMessage['value'][] = []
  readonly #writer: MessageWriter<PushMessage>

  constructor(peerId: string, stream: MemoryStream) {
    this.peerId = peerId
    this.stream = stream
    this.#writer = new MessageWriter({ codec: pushFrames, sink: stream })
    const handler = {
      onMessage: ({ value }: AttachMessage) => {
        this.attached.push(value)
        return null
      },
      onTensor: () => undefined
    }
    const reader = new MessageReader<AttachMessage>({ codec: attachFrames, handler }, { maxTensorBytes: 0 })
    stream.onData = chunk => reader.push(chunk)
  }

  send(message: Outgoing<PushMessage>, tensor?: Uint8Array): void {
    if (tensor === undefined) this.#writer.send(message)
    else this.#writer.sendTensor(message, tensor)
  }

  attach(pushKey: Uint8Array, boundary = 0): void {
    this.send({ kind: 'attach', value: { pushKey, modelDigest, boundary } })
  }

  receipt(statement: Partial<Statement> = {}, signer = this.peerId): Receipt {
    return signReceipt(
      {
        server: this.peerId,
        owner: 'owner',
        incarnation: new Uint8Array(16),
        modelDigest,
        from: 0,
        to: 0,
        epoch: 0,
        step: 0,
        position: 0,
        n: 1,
        inputDigest: new Uint8Array(32),
        outputDigest: new Uint8Array(32),
        ...statement
      },
      bytes => signatureOf(signer, bytes)
    )
  }
}

/** Servers, owners and upstreams in memory, on a clock of their own. */
export class Bench {
  readonly clock = new ManualClock(1000)
  readonly networks = new MemoryNetworks()

  async node(peerId: string, [from, to]: [number, number] = [0, 4], more: NodeOptions = {}): Promise<Node> {
    const runner = new FakeRunner()
    const ledger = createLedger()
    const { clock } = this
    const server = new InferenceServer(
      {
        facts: { peerId, modelDigest, from, to, hiddenSize: HIDDEN, maxLength: MAX_LENGTH },
        limits: { maxTentative: 4, creditSteps: 8, creditBytes: more.creditBytes ?? CREDIT_BYTES },
        runner,
        lane: createSpanLane({ clock, runner }, { policy: oldest({ queueDelayMs: 0 }) }),
        digest,
        sign: bytes => signatureOf(more.signer ?? peerId, bytes),
        verify: (peer, bytes, signature) => Buffer.compare(signatureOf(peer, bytes), signature) === 0,
        clock,
        logger: silentLogger,
        ledger,
        network: this.networks.of(peerId),
        ...(more.parking === undefined ? {} : { parking: more.parking })
      },
      { kvBytesPerToken: 1, ...more.init }
    )
    await server.start()
    return { peerId, server, runner, ledger, from, to }
  }

  owner(node: Node, peerId = 'owner'): Owner {
    return new Owner(this.networks.open(peerId, node.peerId, INFERENCE_PROTOCOL))
  }

  upstream(node: Node, peerId = 'upstream', host?: string): Upstream {
    return new Upstream(peerId, this.networks.open(peerId, node.peerId, PUSH_PROTOCOL, host))
  }

  /** An owner with an open session. */
  async session(node: Node, open: Partial<Open> = {}): Promise<Owner> {
    const owner = this.owner(node)
    owner.send({ kind: 'open', value: openOf(node, open) })
    await settle()
    owner.last('opened')
    return owner
  }
}

export const sessionId = new Uint8Array(16).fill(1)

export function openOf({ from, to }: Node, open: Partial<Open> = {}): Partial<Open> {
  return { version: 1, modelDigest, from, to, id: sessionId, ...open }
}

export const inputDigest = (node: Node, position: number, bytes: Uint8Array): Uint8Array =>
  digest({ boundary: node.from, position, n: bytes.length / (HIDDEN * 4) }, bytes)
