import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { Target } from './connection.ts'

/** A TCP server on loopback that returns every byte: the far end of a bare measurement. */
export interface EchoServer extends Target {
  close(): Promise<void>
}

export async function startEcho(): Promise<EchoServer> {
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    // A reset is how a link under test ends; 'close' follows.
    socket.on('error', () => undefined)
    socket.pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    }
  }
}
