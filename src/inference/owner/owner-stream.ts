import { type AndthenError, toAndthenError } from '../../base/index.ts'
import { ConnectionLostError, type PeerStream } from '../../network/index.ts'
import {
  MessageReader,
  MessageWriter,
  type Outgoing,
  type OwnerMessage,
  ownerFrames,
  type ServerMessage,
  serverFrames,
  type TensorOptions
} from '../../wire/index.ts'

export interface ServerMessageHandler {
  /** A message; `bytes` of tensor follow (0: none). Returns where they go, or null to read past them. */
  onMessage(message: ServerMessage, bytes: number): Uint8Array | null
  onTensor(message: ServerMessage, tensor: Uint8Array): void
  /** The stream is over: either end has ended it. The last call, as is `onLost`. */
  onEnd(error: AndthenError): void
  /** The stream broke, or the connection beneath it: neither end has ended it in good order. */
  onLost(error: AndthenError): void
}

/** A stream of the inference protocol as its owner sees it: messages instead of bytes. Reading never waits for writing. */
export class OwnerStream {
  readonly peerId: string
  /** Who hears the messages; may change between two of them. */
  handler: ServerMessageHandler
  readonly #stream: PeerStream
  readonly #writer: MessageWriter<OwnerMessage>
  #ended = false
  readonly #flushWaiters: (() => void)[] = []

  /** @param init.maxTensorBytes of the longest output that will be asked for */
  constructor(stream: PeerStream, handler: ServerMessageHandler, init: { maxTensorBytes: number }) {
    this.peerId = stream.remotePeer
    this.handler = handler
    this.#stream = stream
    this.#writer = new MessageWriter({ codec: ownerFrames, sink: stream })
    const reader = new MessageReader<ServerMessage>(
      {
        codec: serverFrames,
        handler: {
          onMessage: (message, bytes) => (this.#ended ? null : this.handler.onMessage(message, bytes)),
          onTensor: (message, tensor) => {
            if (!this.#ended) this.handler.onTensor(message, tensor)
          }
        }
      },
      init
    )
    stream.onData = chunk => {
      if (this.#ended) return
      try {
        reader.push(chunk)
      } catch (error) {
        this.abort(toAndthenError(error))
      }
    }
    stream.onDrain = () => {
      this.#writer.drained()
      this.#checkFlushed()
    }
    stream.onClose = error => {
      if (error === undefined) this.#end(new ConnectionLostError(this.peerId, 'it closed the stream'))
      else this.#end(toAndthenError(error), true)
    }
  }

  /** Nothing waits to be sent. */
  get idle(): boolean {
    return this.#writer.queuedBytes === 0 && this.#stream.bufferedBytes === 0
  }

  send(message: Outgoing<OwnerMessage>): void {
    if (!this.#ended) this.#writer.send(message)
  }

  /** @param bytes unchanged from here on */
  sendTensor(message: Outgoing<OwnerMessage>, bytes: Uint8Array, options: TensorOptions): void {
    if (!this.#ended) this.#writer.sendTensor(message, bytes, options)
  }

  /** Resolves when all that was sent is with the stream, or the stream is over. */
  async flushed(): Promise<void> {
    if (this.#writer.queuedBytes === 0) return
    await new Promise<void>(resolve => {
      this.#flushWaiters.push(resolve)
    })
  }

  /** Ends the stream in good order; the handler hears of no end. */
  async close(): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    this.#writer.clear()
    this.#checkFlushed()
    await this.#stream.close()
  }

  /** Ends the stream at once; the handler hears of it before this returns. */
  abort(error: AndthenError): void {
    this.#end(error)
    this.#stream.abort(error)
  }

  #checkFlushed(): void {
    if (this.#writer.queuedBytes > 0) return
    for (const resolve of this.#flushWaiters.splice(0)) resolve()
  }

  #end(error: AndthenError, lost = false): void {
    if (this.#ended) return
    this.#ended = true
    this.#writer.clear()
    this.#checkFlushed()
    if (lost) this.handler.onLost(error)
    else this.handler.onEnd(error)
  }
}
