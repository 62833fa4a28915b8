import type { CallOptions, PeerStream, PeerTarget } from '../../src/network/index.ts'
import {
  MessageReader,
  MessageWriter,
  PUSH_PROTOCOL,
  type Push,
  pushFrames,
  type PushMessage
} from '../../src/wire/index.ts'
import { NetworkOver } from './network-over.ts'

/** A push as its receiver gets it, header and hidden states. */
export interface PushedStep {
  readonly push: Push
  readonly bytes: Uint8Array
}

/** What becomes of a push on its way: it goes on as it is or changed, now, later, twice or never. */
export type PushFault = (step: PushedStep, forward: (step: PushedStep) => void) => void

const faithful: PushFault = (step, forward) => forward(step)

/** A server's network that does something to what the server pushes, and keeps what it was given. */
export class FaultyNetwork extends NetworkOver {
  fault: PushFault = faithful
  /** All that the server pushed, before the fault. */
  readonly pushed: PushedStep[] = []
  /** Where others are told to dial, where it is not where this node listens. */
  announced: string[] | null = null
  /** The stream that was opened last to push on. */
  stream: PeerStream | null = null

  override addresses(): string[] {
    return this.announced ?? super.addresses()
  }

  override async openStream(target: PeerTarget, protocol: string, options?: CallOptions): Promise<PeerStream> {
    const stream = await super.openStream(target, protocol, options)
    if (protocol !== PUSH_PROTOCOL) return stream
    this.stream = stream
    return new TamperedStream(stream, (step, forward) => {
      this.pushed.push(step)
      this.fault(step, forward)
    })
  }
}

/** A push stream that is taken apart, and put together again from what the fault lets pass. */
class TamperedStream implements PeerStream {
  readonly #stream: PeerStream
  readonly #reader: MessageReader<PushMessage>

  constructor(stream: PeerStream, fault: PushFault) {
    this.#stream = stream
    const writer = new MessageWriter<PushMessage>({ codec: pushFrames, sink: stream })
    stream.onDrain = () => writer.drained()
    const forward = ({ push, bytes }: PushedStep): void => writer.sendTensor({ kind: 'push', value: push }, bytes)
    const handler = {
      onMessage: (message: PushMessage, bytes: number) => {
        if (message.kind === 'push') return new Uint8Array(bytes)
        writer.send(message)
        return null
      },
      onTensor: (message: PushMessage, bytes: Uint8Array) => {
        if (message.kind === 'push') fault({ push: message.value, bytes }, forward)
      }
    }
    this.#reader = new MessageReader({ codec: pushFrames, handler }, { maxTensorBytes: 64 * 1024 * 1024 })
  }

  get remotePeer(): string {
    return this.#stream.remotePeer
  }

  get remoteHost(): string {
    return this.#stream.remoteHost
  }

  get protocol(): string {
    return this.#stream.protocol
  }

  get bufferedBytes(): number {
    return this.#stream.bufferedBytes
  }

  get writableNeedsDrain(): boolean {
    return false
  }

  /** It takes all that it is given, and so never drains. */
  onDrain = (): void => undefined

  set onData(callback: (chunk: Uint8Array) => void) {
    this.#stream.onData = callback
  }

  set onClose(callback: (error?: Error) => void) {
    this.#stream.onClose = callback
  }

  send(parts: readonly Uint8Array[]): boolean {
    for (const part of parts) this.#reader.push(part)
    return true
  }

  close(): Promise<void> {
    return this.#stream.close()
  }

  abort(error: Error): void {
    this.#stream.abort(error)
  }
}
