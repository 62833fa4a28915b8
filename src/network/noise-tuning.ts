import { noise } from '@chainsafe/libp2p-noise'
import type { ConnectionEncrypter, SecuredConnection } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'
import { NoiseFrames } from './noise-frames.ts'

type Create = ReturnType<typeof noise>

/**
 * libp2p's noise, with another way of cutting what comes into messages: its own ends each chunk by throwing an error,
 * whose stack trace takes longer than decrypting a token. It is a field of the pinned version; where it is not there,
 * nothing is changed, which costs speed but not correctness. The tests watch that it is there.
 */
export function tunedNoise(): (components: Parameters<Create>[0]) => ConnectionEncrypter {
  const create = noise()
  return components => {
    const inner = create(components)
    return {
      protocol: inner.protocol,
      secureInbound: async (connection, options) => withOwnFrames(await inner.secureInbound(connection, options)),
      secureOutbound: async (connection, options) => withOwnFrames(await inner.secureOutbound(connection, options))
    }
  }
}

function withOwnFrames<S extends SecuredConnection>(secured: S): S {
  const { decoder } = secured.connection as { decoder?: { decode?: unknown; buffer?: Uint8ArrayList } }
  if (typeof decoder?.decode !== 'function' || decoder.buffer === undefined) return secured
  const frames = new NoiseFrames()
  // What came right behind the handshake, and is not whole, is the old decoder's until here: without it, all that
  // follows would be cut in the wrong places.
  frames.take(decoder.buffer.subarray())
  // The list is of one piece, the socket's chunk, so that this is no copy.
  decoder.decode = (data: Uint8Array | Uint8ArrayList) => frames.take(data.subarray())
  return secured
}
