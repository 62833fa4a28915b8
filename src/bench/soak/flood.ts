import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { toAndthenError } from '../../base/index.ts'
import { createIdentity, createNetwork, type Network, type PeerStream } from '../../network/index.ts'
import { INFERENCE_PROTOCOL, MessageWriter, PUSH_PROTOCOL, pushFrames, type PushMessage } from '../../wire/index.ts'
import { createRng, type Rng } from '../rng.ts'

/** What was poured in, by kind. */
export interface Poured {
  /** Pushes into sessions that are not, or not theirs to push into, with hidden states and all. */
  pushes: number
  /** Sockets with bytes that are no handshake. */
  sockets: number
  /** Streams with bytes that are no message, or with a length beyond all bounds. */
  garbage: number
  /** Streams opened and left. */
  left: number
}

const PAUSE_MS = 20
const PUSH_BYTES = 64 * 1024
/** Streams left open at once; what the server ends makes room for others. */
const MOST_LEFT = 200

/** Strangers who pour into a server what makes no sense, until they are told to stop. */
export class Flood {
  readonly poured: Poured = { pushes: 0, sockets: 0, garbage: 0, left: 0 }
  readonly #target: { readonly address: string; readonly port: number }
  readonly #rng: Rng
  readonly #network: Network
  readonly #sockets = new Set<Socket>()
  readonly #open = new Set<PeerStream>()
  #pushing: { stream: PeerStream; writer: MessageWriter<PushMessage> } | null = null
  #stopped = false
  #running: Promise<void> = Promise.resolve()

  private constructor(network: Network, target: { address: string; port: number }, seed: number) {
    this.#network = network
    this.#target = target
    this.#rng = createRng(seed)
  }

  static async start(target: { address: string; port: number }, seed: number): Promise<Flood> {
    const network = await createNetwork({ identity: await createIdentity() })
    const flood = new Flood(network, target, seed)
    flood.#running = flood.#run()
    return flood
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
    for (const socket of this.#sockets) socket.destroy()
    await this.#network.close()
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const kind = this.#rng.integer(10)
      // That a server hangs up on them is what floods are for.
      const poured = kind < 5 ? this.#push() : kind < 6 ? this.#socket() : kind < 8 ? this.#garbage() : this.#leave()
      await Promise.resolve(poured).catch((thrown: unknown) => toAndthenError(thrown))
      await new Promise(resolve => setTimeout(resolve, PAUSE_MS))
    }
  }

  async #push(): Promise<void> {
    const { writer } = (this.#pushing ??= await this.#pusher())
    if (writer.queuedBytes > 4 * PUSH_BYTES) return
    const pushKey = randomBytes(16)
    const receipt = { statement: randomBytes(100), signature: randomBytes(64) }
    writer.send({ kind: 'attach', value: { pushKey, modelDigest: randomBytes(32), boundary: this.#rng.integer(12) } })
    writer.sendTensor(
      { kind: 'push', value: { pushKey, epoch: 1, step: 0, position: 0, n: 1, digest: randomBytes(32), receipt } },
      randomBytes(PUSH_BYTES)
    )
    this.poured.pushes++
  }

  async #pusher(): Promise<{ stream: PeerStream; writer: MessageWriter<PushMessage> }> {
    const stream = await this.#network.openStream(this.#target.address, PUSH_PROTOCOL)
    const writer = new MessageWriter<PushMessage>({ codec: pushFrames, sink: stream })
    stream.onDrain = () => writer.drained()
    stream.onData = () => undefined
    stream.onClose = () => {
      this.#pushing = null
    }
    return { stream, writer }
  }

  #socket(): void {
    const socket = connect(this.#target.port, '127.0.0.1')
    this.#sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => this.#sockets.delete(socket))
    socket.write(randomBytes(1 + this.#rng.integer(4_096)))
    this.poured.sockets++
  }

  async #garbage(): Promise<void> {
    const stream = await this.#stream()
    // A header whose length is beyond all bounds, or one of a length that is right and of nothing else.
    const content = randomBytes(1 + this.#rng.integer(2_000))
    const start = this.#rng.next() < 0.5 ? Buffer.from('ffffffff7f', 'hex') : Buffer.of(content.length & 0x7f)
    stream.send([start, content])
    this.poured.garbage++
  }

  async #leave(): Promise<void> {
    if (this.#open.size >= MOST_LEFT) return
    await this.#stream()
    this.poured.left++
  }

  async #stream(): Promise<PeerStream> {
    const protocol = this.#rng.next() < 0.5 ? INFERENCE_PROTOCOL : PUSH_PROTOCOL
    const stream = await this.#network.openStream(this.#target.address, protocol)
    this.#open.add(stream)
    stream.onData = () => undefined
    stream.onClose = () => void this.#open.delete(stream)
    return stream
  }
}
