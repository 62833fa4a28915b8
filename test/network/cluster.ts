import {
  createIdentity,
  createNetwork,
  type Network,
  type NetworkInit,
  type PeerStream
} from '../../src/network/index.ts'

export { until } from '../until.ts'

/** Networks on loopback that end together. */
export class Cluster {
  readonly #open: Network[] = []

  async client(init: Partial<NetworkInit> = {}): Promise<Network> {
    const network = await createNetwork({ identity: await createIdentity(), ...init })
    this.#open.push(network)
    return network
  }

  server(init: Partial<NetworkInit> = {}): Promise<Network> {
    return this.client({ listen: ['/ip4/127.0.0.1/tcp/0'], ...init })
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.splice(0).map(network => network.close()))
  }
}

export const echo = (stream: PeerStream): void => {
  stream.onData = chunk => void stream.send([chunk])
}

/** The next `bytes` bytes of a stream; rejects when it ends before. */
export function read(stream: PeerStream, bytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = []
    let received = 0
    stream.onClose = error => reject(error ?? new Error('closed before all bytes came'))
    stream.onData = chunk => {
      chunks.push(chunk)
      received += chunk.byteLength
      if (received >= bytes) resolve(Buffer.concat(chunks))
    }
  })
}

/** Resolves with what ended the stream. */
export const ended = (stream: PeerStream): Promise<Error | undefined> =>
  new Promise(resolve => {
    stream.onClose = resolve
  })
