import { ManualClock, silentLogger } from '../../../src/base/index.ts'
import { PeerUnreachableError } from '../../../src/network/index.ts'
import { openSession, type SessionListener, type SpanSession } from '../../../src/inference/owner/index.ts'
import {
  MessageReader,
  MessageWriter,
  type Opened,
  type Outgoing,
  ownerFrames,
  type OwnerMessage,
  serverFrames,
  type ServerMessage
} from '../../../src/wire/index.ts'
import { MemoryStream } from '../server/memory-network.ts'

export const turns = async (count = 5): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise(resolve => setImmediate(resolve))
}

/** A server whose every word the test chooses. */
export class Script {
  readonly clock = new ManualClock()
  readonly heard: (OwnerMessage & { tensor?: Uint8Array })[] = []
  readonly stream = new MemoryStream('owner', 'inference')
  /** What is opened after the first stream; nobody listens there any more when there is none. */
  readonly later: MemoryStream[] = []
  readonly #writer = new MessageWriter<ServerMessage>({ codec: serverFrames, sink: this.stream })

  constructor() {
    const client = new MemoryStream('server', 'inference')
    client.other = this.stream
    this.stream.other = client
    const reader = new MessageReader<OwnerMessage>(
      {
        codec: ownerFrames,
        handler: {
          onMessage: (message, bytes) => {
            if (bytes === 0) this.heard.push(message)
            return bytes === 0 ? null : new Uint8Array(bytes)
          },
          onTensor: (message, tensor) => void this.heard.push({ ...message, tensor })
        }
      },
      { maxTensorBytes: 1 << 20 }
    )
    this.stream.onData = chunk => reader.push(chunk)
  }

  say(message: Outgoing<ServerMessage>, tensor?: Uint8Array): void {
    if (tensor === undefined) this.#writer.send(message)
    else this.#writer.sendTensor(message, tensor)
  }

  open(signal?: AbortSignal): Promise<SpanSession> {
    this.later.unshift(this.stream.other)
    const openStream = (): Promise<MemoryStream> =>
      this.later[0] === undefined
        ? Promise.reject(new PeerUnreachableError('server', [], 'refused'))
        : Promise.resolve(this.later.shift()!)
    return openSession(
      { network: { openStream }, logger: silentLogger, clock: this.clock },
      {
        peer: 'server',
        modelDigest: new Uint8Array(32).fill(1),
        from: 4,
        to: 8,
        maxLength: 100,
        verify: 'digest',
        maxTensorBytes: 1000
      },
      { signal }
    )
  }

  async opened(): Promise<SpanSession> {
    const session = this.open()
    await turns()
    this.say({ kind: 'opened', value: opened })
    return session
  }

  kinds(): string[] {
    return this.heard.map(({ kind }) => kind)
  }
}

export const opened: Opened = {
  incarnation: new Uint8Array(16).fill(2),
  pushKey: new Uint8Array(16).fill(3),
  lengths: { length: 0, committed: 0 },
  credit: { steps: 8, bytes: 4096 },
  maxTentative: 4
}

/** Fields that no Output is without. */
export const parts = { lengths: {}, stamps: {}, pushes: {} }

/** A listener that writes down what it hears. */
export function listening(session: SpanSession, room = 1000): string[] {
  const heard: string[] = []
  const listener: SessionListener = {
    onOutput: (output, bytes) => {
      heard.push(`output ${output.step} of ${bytes}`)
      return bytes === 0 || bytes > room ? null : new Uint8Array(bytes)
    },
    onTensor: (output, tensor) => void heard.push(`tensor ${output.step}: ${tensor[0]}`),
    onNeedCopy: ({ step }) => void heard.push(`need copy ${step}`),
    onMismatch: ({ step }) => void heard.push(`mismatch ${step}`),
    onEnd: error => void heard.push(`end ${error.code}`)
  }
  session.listen(listener)
  return heard
}
