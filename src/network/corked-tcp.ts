import { Socket } from 'node:net'
import {
  type Connection,
  type CreateListenerOptions,
  type DialTransportOptions,
  type Listener,
  type MultiaddrConnection,
  type Transport,
  transportSymbol,
  type Upgrader,
  type UpgraderOptions
} from '@libp2p/interface'
import { type TCPComponents, type TCPOptions, tcp } from '@libp2p/tcp'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Handshakes } from './handshakes.ts'

/**
 * libp2p's TCP transport, with the writes of one tick gathered into one `writev`. Noise and yamux hand each frame to
 * the socket in five pieces, which without Nagle's delay would be as many system calls and packets.
 */
export class CorkedTcp implements Transport {
  readonly [Symbol.toStringTag] = '@andthen/corked-tcp'
  readonly [transportSymbol] = true
  readonly listenFilter: Transport['listenFilter']
  readonly dialFilter: Transport['dialFilter']
  readonly #tcp: Transport
  readonly #listeners = new Set<Listener>()

  readonly #handshakes: Handshakes

  constructor(components: TCPComponents & { readonly handshakes: Handshakes }, options: TCPOptions) {
    this.#handshakes = components.handshakes
    this.#tcp = tcp(options)(components)
    this.listenFilter = this.#tcp.listenFilter.bind(this.#tcp)
    this.dialFilter = this.#tcp.dialFilter.bind(this.#tcp)
  }

  dial(address: Multiaddr, options: DialTransportOptions): Promise<Connection> {
    return this.#tcp.dial(address, { ...options, upgrader: corking(options.upgrader, this.#handshakes) })
  }

  createListener(options: CreateListenerOptions): Listener {
    const listener = this.#tcp.createListener({ ...options, upgrader: corking(options.upgrader, this.#handshakes) })
    this.#listeners.add(listener)
    listener.addEventListener('close', () => this.#listeners.delete(listener))
    return listener
  }

  /** Where it listens: wildcards as the addresses of this machine, port 0 as the real port. */
  listenAddresses(): string[] {
    return [...this.#listeners].flatMap(listener => listener.getAddrs().map(String))
  }
}

/** Longer writes go as they are, uncopied. */
const MAX_GATHERED_BYTES = 16 * 1024

/** The upgrader is where a socket that was dialled or accepted passes on its way to becoming a connection. */
function corking(upgrader: Upgrader, handshakes: Handshakes): Upgrader {
  return {
    upgradeOutbound: (connection: MultiaddrConnection, options: UpgraderOptions) =>
      upgrader.upgradeOutbound(corkTicks(connection), options),
    upgradeInbound: (connection: MultiaddrConnection, options: UpgraderOptions) =>
      handshakes.run(connection, () => upgrader.upgradeInbound(corkTicks(connection), options)),
    createInboundAbortSignal: signal => upgrader.createInboundAbortSignal(signal),
    getStreamMuxers: () => upgrader.getStreamMuxers(),
    getConnectionEncrypters: () => upgrader.getConnectionEncrypters()
  }
}

function corkTicks(connection: MultiaddrConnection): MultiaddrConnection {
  const socket = 'socket' in connection ? connection.socket : undefined
  if (!(socket instanceof Socket)) return connection
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
  let corked = false
  const uncork = (): void => {
    corked = false
    socket.uncork()
  }
  const writeCorked = (...args: unknown[]): boolean => {
    if (!corked) {
      corked = true
      socket.cork()
      process.nextTick(uncork)
    }
    return write(...args)
  }
  socket.write = writeCorked
  gather(socket)
  return connection
}

/** What a socket has as the pieces of one write. */
interface GatheringSocket {
  _writev?: (pieces: readonly { chunk: Buffer }[], done: (error?: Error | null) => void) => void
  _write(chunk: Buffer, encoding: 'buffer', done: (error?: Error | null) => void): void
}

/** Puts the small pieces of one write together: copying a token's 3 KiB is quicker than handing over ten pieces of it. */
function gather(socket: Socket): void {
  const target = socket as unknown as GatheringSocket
  const writev = target._writev?.bind(socket)
  if (writev === undefined) return
  target._writev = (pieces, done) => {
    const bytes = pieces.reduce((sum, { chunk }) => sum + chunk.length, 0)
    if (bytes > MAX_GATHERED_BYTES) return writev(pieces, done)
    const whole = Buffer.concat(
      pieces.map(({ chunk }) => chunk),
      bytes
    )
    target._write(whole, 'buffer', done)
  }
}
