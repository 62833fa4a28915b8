import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { ServerProcess } from '../../src/bench/index.ts'

/** A way to a server that may break, and then hang up on so many who come, before it lets anybody through again. */
export class Gate {
  /** Where the server is reached through it. */
  readonly address: string
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #turnedAway = 0

  private constructor(peerId: string, targetPort: number, server: Server) {
    const { port } = server.address() as AddressInfo
    this.address = `/ip4/127.0.0.1/tcp/${port}/p2p/${peerId}`
    this.#server = server
    server.on('connection', (socket: Socket) => {
      if (this.#turnedAway > 0) {
        this.#turnedAway--
        socket.destroy()
        return
      }
      const target = connect(targetPort, '127.0.0.1')
      for (const [one, other] of [
        [socket, target],
        [target, socket]
      ] as const) {
        this.#sockets.add(one)
        one.pipe(other)
        one.on('error', () => other.destroy()).on('close', () => this.#sockets.delete(one))
      }
    })
  }

  static async before({ ready }: ServerProcess): Promise<Gate> {
    const [, port] = /\/tcp\/(\d+)/.exec(ready.addresses[0] ?? '') ?? []
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new Gate(ready.peerId, Number(port), server)
  }

  /** @param turnedAway connections that are hung up on from now on */
  break(turnedAway: number): void {
    this.#turnedAway = turnedAway
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  close(): void {
    this.#server.close()
    this.break(0)
  }
}
