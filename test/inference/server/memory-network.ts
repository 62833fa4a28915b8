import { ConnectionLostError, type Network, type PeerStream, type StreamHandler } from '../../../src/network/index.ts'

const nothing = (): void => undefined

/** One end of a stream in memory. What is sent arrives with the next turn of the event loop, unless it is stalled. */
export class MemoryStream implements PeerStream {
  readonly remotePeer: string
  readonly remoteHost: string
  readonly protocol: string
  onData: (chunk: Uint8Array) => void = nothing
  onDrain: () => void = nothing
  onClose: (error?: Error) => void = nothing
  /** True: what is sent stays here, as with a peer that does not read. */
  stalled = false
  /** As stalled, for good. */
  isCutOff: () => boolean = () => false
  other: MemoryStream = this
  #queue: Uint8Array[] = []
  #ended = false

  constructor(remotePeer: string, protocol: string, remoteHost = `host of ${remotePeer}`) {
    this.remotePeer = remotePeer
    this.remoteHost = remoteHost
    this.protocol = protocol
  }

  get bufferedBytes(): number {
    return this.#queue.reduce((sum, chunk) => sum + chunk.length, 0)
  }

  get writableNeedsDrain(): boolean {
    return this.stalled || this.isCutOff()
  }

  get ended(): boolean {
    return this.#ended
  }

  send(parts: readonly Uint8Array[]): boolean {
    if (this.#ended) return false
    this.#queue.push(Buffer.concat(parts))
    if (!this.writableNeedsDrain) setImmediate(() => this.#flush())
    return !this.writableNeedsDrain
  }

  /** It is not stalled any more: what was sent arrives. */
  release(): void {
    this.stalled = false
    setImmediate(() => {
      this.#flush()
      this.onDrain()
    })
  }

  close(): Promise<void> {
    setImmediate(() => {
      this.#flush()
      this.#end()
      this.other.#end()
    })
    return Promise.resolve()
  }

  abort(error: Error): void {
    this.#queue = []
    this.#end(error)
    const { other } = this
    setImmediate(() => other.#end(new ConnectionLostError(other.remotePeer, 'the peer reset the stream')))
  }

  #flush(): void {
    if (this.isCutOff()) return
    for (const chunk of this.#queue.splice(0)) if (!this.other.#ended) this.other.onData(chunk)
  }

  #end(error?: Error): void {
    if (this.#ended) return
    this.#ended = true
    this.onClose(error)
  }
}

/** Nodes that reach each other by name. */
export class MemoryNetworks {
  readonly #handlers = new Map<string, Map<string, StreamHandler>>()
  readonly #frozen = new Set<string>()

  /** A stream of `from`, who is at `host`, to `to`. */
  open(from: string, to: string, protocol: string, host?: string): MemoryStream {
    const handler = this.#handlers.get(to)?.get(protocol)
    if (handler === undefined) throw new Error(`${to} does not speak ${protocol}`)
    const [here, there] = [new MemoryStream(to, protocol), new MemoryStream(from, protocol, host)]
    here.other = there
    there.other = here
    here.isCutOff = there.isCutOff = () => this.#frozen.has(from) || this.#frozen.has(to)
    handler(there)
    return here
  }

  /** Nothing gets to this node or from it any more, and nobody is told. */
  freeze(peerId: string): void {
    this.#frozen.add(peerId)
  }

  of(peerId: string): Network {
    const handlers = new Map<string, StreamHandler>()
    this.#handlers.set(peerId, handlers)
    return {
      peerId,
      counters: {} as Network['counters'],
      reachability: 'unknown',
      relaying: () => ({ places: 0, connections: 0, relays: 0 }),
      addresses: () => [`/ip4/127.0.0.1/tcp/1/p2p/${peerId}`],
      handle(protocol, handler) {
        handlers.set(protocol, handler)
        return Promise.resolve()
      },
      isConnected: () => false,
      hasAnswered: () => false,
      resolve: address => Promise.resolve(address),
      connect: () => Promise.resolve(peerId),
      openStream: (target, protocol) => {
        const address = [target].flat()[0] as string
        return Promise.resolve().then(() => this.open(peerId, address.split('/p2p/')[1]!, protocol))
      },
      ping: () => Promise.resolve(0),
      close: () => Promise.resolve()
    }
  }
}
