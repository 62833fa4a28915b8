import type { PeerStream } from '../../../../src/network/index.ts'
import {
  MessageReader,
  MessageWriter,
  ownerFrames,
  type OwnerMessage,
  type Rewind,
  serverFrames,
  type ServerMessage,
  type Step
} from '../../../../src/wire/index.ts'
import { settle } from '../bench.ts'

/** A server of a route that grants a session at once, and answers rewinds when it is told to. */
export class SlowServer {
  readonly rewinds: Rewind[] = []
  readonly steps: Step[] = []
  #answered = 0
  #writer: MessageWriter<ServerMessage> | null = null

  accept(stream: PeerStream): void {
    const writer = new MessageWriter<ServerMessage>({ codec: serverFrames, sink: stream })
    const handler = {
      onMessage: (message: OwnerMessage) => {
        if (message.kind === 'open') {
          const keys = { incarnation: new Uint8Array(16).fill(1), pushKey: new Uint8Array(16).fill(2) }
          writer.send({
            kind: 'opened',
            value: { ...keys, lengths: {}, credit: { steps: 8, bytes: 1e6 }, maxTentative: 8 }
          })
        } else if (message.kind === 'rewind') this.rewinds.push(message.value)
        else if (message.kind === 'step') this.steps.push(message.value)
        return null
      },
      onTensor: () => undefined
    }
    const reader = new MessageReader<OwnerMessage>({ codec: ownerFrames, handler }, { maxTensorBytes: 1e6 })
    stream.onData = chunk => reader.push(chunk)
    this.#writer = writer
  }

  /** Answers those that it has heard. */
  async answer(): Promise<void> {
    for (; this.#answered < this.rewinds.length; this.#answered++) {
      const { epoch, length } = this.rewinds[this.#answered]!
      this.#writer?.send({ kind: 'rewound', value: { epoch, lengths: { length, committed: length } } })
    }
    await settle()
  }
}
