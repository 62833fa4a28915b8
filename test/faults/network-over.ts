import type {
  CallOptions,
  HandleOptions,
  Network,
  PeerStream,
  PeerTarget,
  Reachability,
  Relaying,
  StreamHandler
} from '../../src/network/index.ts'

/** A network that does all as another one does; what it does differently is for those who extend it to say. */
export class NetworkOver implements Network {
  protected readonly inner: Network

  constructor(inner: Network) {
    this.inner = inner
  }

  get peerId(): string {
    return this.inner.peerId
  }

  get counters(): Network['counters'] {
    return this.inner.counters
  }

  addresses(): string[] {
    return this.inner.addresses()
  }

  get reachability(): Reachability {
    return this.inner.reachability
  }

  relaying(): Relaying {
    return this.inner.relaying()
  }

  handle(protocol: string, handler: StreamHandler, options?: HandleOptions): Promise<void> {
    return this.inner.handle(protocol, handler, options)
  }

  resolve(address: string, options?: CallOptions): Promise<string> {
    return this.inner.resolve(address, options)
  }

  isConnected(peerId: string): boolean {
    return this.inner.isConnected(peerId)
  }

  hasAnswered(address: string): boolean {
    return this.inner.hasAnswered(address)
  }

  connect(target: PeerTarget, options?: CallOptions): Promise<string> {
    return this.inner.connect(target, options)
  }

  openStream(target: PeerTarget, protocol: string, options?: CallOptions): Promise<PeerStream> {
    return this.inner.openStream(target, protocol, options)
  }

  ping(target: PeerTarget, options?: CallOptions): Promise<number> {
    return this.inner.ping(target, options)
  }

  close(): Promise<void> {
    return this.inner.close()
  }
}

/** A client's network, to which servers seem the nearer the earlier they are in its list: the later ones are spares. */
export class RankedNetwork extends NetworkOver {
  readonly #peerIds: readonly string[]

  constructor(inner: Network, peerIds: readonly string[]) {
    super(inner)
    this.#peerIds = peerIds
  }

  override async ping(target: PeerTarget, options?: CallOptions): Promise<number> {
    await this.inner.ping(target, options)
    return 1 + this.#peerIds.findIndex(peerId => [target].flat().some(address => address.endsWith(peerId)))
  }
}
