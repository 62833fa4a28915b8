import type { Socket } from 'node:net'
import { noise } from '@chainsafe/libp2p-noise'
import type { Connection, MessageStream, StreamMuxer } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { silentLibp2pLog } from '../../src/network/libp2p-log.ts'

/** A connection of somebody who keeps the handshakes, and then does as he likes. */
export interface Hostile {
  readonly connection: Connection
  /** Below the encryption. */
  readonly socket: Socket
  /** Below the multiplexer: bytes sent here are decrypted, and taken for yamux. */
  readonly wire: MessageStream
  /** Streams made here have negotiated nothing. */
  readonly muxer: StreamMuxer
}

export interface Attacker {
  connect(address: string): Promise<Hostile>
  stop(): Promise<void>
}

/** libp2p as it is, with none of this project's care. */
export async function startAttacker(): Promise<Attacker> {
  const made: Pick<Hostile, 'wire' | 'muxer'>[] = []
  const node = await createLibp2p({
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [
      () => {
        const factory = yamux({ maxOutboundStreams: 100_000 })()
        return {
          protocol: factory.protocol,
          createStreamMuxer(wire) {
            const muxer = factory.createStreamMuxer(wire)
            made.push({ wire, muxer })
            return muxer
          }
        }
      }
    ],
    connectionMonitor: { enabled: false },
    logger: silentLibp2pLog
  })
  return {
    async connect(address) {
      const connection = await node.dial(multiaddr(address), { force: true })
      const parts = made.at(-1)
      const { maConn } = connection as unknown as { maConn: { socket: Socket } }
      if (parts === undefined) throw new Error('no multiplexer was made')
      return { connection, socket: maConn.socket, ...parts }
    },
    stop: async () => node.stop()
  }
}

/** A yamux frame's header, whatever it says. */
export function yamuxHeader(fields: {
  version?: number
  type: number
  flags?: number
  streamId?: number
  length: number
}): Buffer {
  const { version = 0, type, flags = 0, streamId = 0, length } = fields
  const header = Buffer.alloc(12)
  header.writeUInt8(version, 0)
  header.writeUInt8(type, 1)
  header.writeUInt16BE(flags, 2)
  header.writeUInt32BE(streamId, 4)
  header.writeUInt32BE(length, 8)
  return header
}
