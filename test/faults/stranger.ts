import type { Network, PeerStream } from '../../src/network/index.ts'
import { MessageWriter, PUSH_PROTOCOL, pushFrames, type PushMessage } from '../../src/wire/index.ts'
import type { PushedStep } from './faulty-network.ts'
import type { FaultyNode } from './swarm.ts'

/** A peer that no owner ever named, on a push stream to a server. */
export class Stranger {
  /** Bytes that the server answered. */
  heard = 0
  /** The server ended the stream. */
  ended = false
  readonly #writer: MessageWriter<PushMessage>

  private constructor(stream: PeerStream) {
    this.#writer = new MessageWriter({ codec: pushFrames, sink: stream })
    stream.onDrain = () => this.#writer.drained()
    stream.onData = chunk => {
      this.heard += chunk.length
    }
    stream.onClose = () => {
      this.ended = true
    }
  }

  static async of(network: Network, target: FaultyNode): Promise<Stranger> {
    return new Stranger(await network.openStream(target.address, PUSH_PROTOCOL))
  }

  attach(pushKey: Uint8Array, modelDigest: Uint8Array, boundary: number): void {
    this.#writer.send({ kind: 'attach', value: { pushKey, modelDigest, boundary } })
  }

  push({ push, bytes }: PushedStep): void {
    this.#writer.sendTensor({ kind: 'push', value: push }, bytes)
  }
}
