import type { Stream } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import { MAX_READ_BUFFER_BYTES, STREAM_CLOSE_TIMEOUT_MS } from './constants.ts'
import type { NetworkCounters } from './counters.ts'
import { withDeadline } from './deadline.ts'
import { ConnectionLostError } from './errors.ts'
import type { PeerStream } from './peer-stream.ts'
import { tuneStream } from './yamux-tuning.ts'

export interface MuxedStreamInit {
  readonly stream: Stream
  readonly remotePeer: string
  readonly remoteHost: string
  readonly counters: NetworkCounters
  /** Called with each piece that comes; an error it returns ends the stream. */
  readonly meter?: ((bytes: number) => Error | undefined) | undefined
  /** Called once when the stream has ended, before `onClose`. */
  readonly onEnd: () => void
}

const ignore = (): void => undefined

/** A PeerStream over a libp2p stream. */
export class MuxedStream implements PeerStream {
  readonly remotePeer: string
  readonly remoteHost: string
  readonly protocol: string
  onDrain: () => void = ignore
  readonly #stream: Stream
  readonly #counters: NetworkCounters
  readonly #onEnd: () => void
  readonly #meter: MuxedStreamInit['meter']
  readonly #finished: Promise<void>
  #resolveFinished: () => void = ignore
  #onData: ((chunk: Uint8Array) => void) | undefined
  #onClose: ((error?: Error) => void) | undefined
  /** What came before `onData` was set. */
  #held: Uint8Array[] = []
  #heldBytes = 0
  #remoteClosed = false
  #closing = false
  #blocked = false
  #abortedWith: Error | undefined
  #end: { readonly error: Error | undefined } | undefined

  constructor(init: MuxedStreamInit) {
    const { stream, counters } = init
    this.remotePeer = init.remotePeer
    this.remoteHost = init.remoteHost
    this.protocol = stream.protocol
    this.#stream = stream
    this.#counters = counters
    this.#onEnd = init.onEnd
    this.#meter = init.meter
    this.#finished = new Promise(resolve => {
      this.#resolveFinished = resolve
    })
    counters.streamsOpened++
    counters.streamsOpen++
    tuneStream(stream)
    stream.addEventListener('message', ({ data }) => {
      if (data instanceof Uint8Array) this.#receive(data)
      else for (const chunk of data) this.#receive(chunk)
    })
    stream.addEventListener('drain', () => queueMicrotask(() => this.#drained()))
    stream.addEventListener('remoteCloseWrite', () => this.#followClose())
    stream.addEventListener('close', event => this.#finish(event.error, event.local === true))
    if (stream.status !== 'open') this.#finish(new Error(`it was ${stream.status} on arrival`), true)
    else if (stream.remoteWriteStatus === 'closed') this.#followClose()
  }

  get bufferedBytes(): number {
    return this.#stream.writeBufferLength
  }

  get writableNeedsDrain(): boolean {
    return this.#stream.writableNeedsDrain
  }

  get onData(): (chunk: Uint8Array) => void {
    return this.#onData ?? ignore
  }

  set onData(callback: (chunk: Uint8Array) => void) {
    this.#onData = callback
    queueMicrotask(() => this.#releaseHeld())
  }

  get onClose(): (error?: Error) => void {
    return this.#onClose ?? ignore
  }

  set onClose(callback: (error?: Error) => void) {
    this.#onClose = callback
    if (this.#end !== undefined) queueMicrotask(() => this.#reportEnd())
  }

  send(parts: readonly Uint8Array[]): boolean {
    if (this.#closing || this.#end !== undefined) return false
    const [only] = parts
    const bytes = parts.length === 1 && only !== undefined ? only : new Uint8ArrayList(...parts)
    this.#counters.bytesSent += bytes.byteLength
    try {
      this.#blocked = !this.#stream.send(bytes)
    } catch (error) {
      this.#break(error)
    }
    return !this.#blocked
  }

  async close(): Promise<void> {
    if (this.#end !== undefined) return
    if (!this.#closing) {
      this.#closing = true
      this.#closeBothWays().catch(error => this.#break(error))
    }
    await this.#finished
  }

  abort(error: Error): void {
    if (this.#end !== undefined) return
    this.#abortedWith ??= error
    this.#stream.abort(error)
  }

  #followClose(): void {
    this.#remoteClosed = true
    void this.close()
  }

  async #closeBothWays(): Promise<void> {
    await withDeadline({ phase: 'close stream', limitMs: STREAM_CLOSE_TIMEOUT_MS }, async signal => {
      await this.#stream.close({ signal })
      await this.#finished
    })
  }

  #receive(chunk: Uint8Array): void {
    this.#counters.bytesReceived += chunk.byteLength
    const excess = this.#meter?.(chunk.byteLength)
    if (excess !== undefined) return this.abort(excess)
    if (this.#closing && !this.#remoteClosed) return
    if (this.#onData === undefined || this.#held.length > 0) {
      this.#heldBytes += chunk.byteLength
      this.#held.push(chunk)
      if (this.#heldBytes > MAX_READ_BUFFER_BYTES) this.#break(new Error(`${this.#heldBytes} bytes wait unread`))
      return
    }
    this.#deliver(chunk)
  }

  #releaseHeld(): void {
    const held = this.#held
    for (const chunk of held) this.#deliver(chunk)
    this.#held = []
    this.#heldBytes = 0
    this.#reportEnd()
  }

  /** What its owner throws ends this stream, and nothing else. */
  #deliver(chunk: Uint8Array): void {
    if (this.#abortedWith !== undefined) return
    try {
      this.#onData?.(chunk)
    } catch (error) {
      this.abort(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #drained(): void {
    if (!this.#blocked || this.#stream.writableNeedsDrain) return
    this.#blocked = false
    this.onDrain()
  }

  /** Ends a stream that cannot go on. */
  #break(cause: unknown): void {
    const reason = cause instanceof Error ? cause.message : String(cause)
    this.abort(new ConnectionLostError(this.remotePeer, reason, { cause }))
  }

  #finish(error: Error | undefined, local: boolean): void {
    if (this.#end !== undefined) return
    this.#end = { error: this.#abortedWith ?? this.#lossOf(error, local) }
    this.#counters.streamsOpen--
    if (this.#end.error !== undefined) this.#counters.streamsFailed++
    this.#onEnd()
    this.#resolveFinished()
    if (this.#held.length === 0) this.#reportEnd()
  }

  /** libp2p reports a connection that died beneath a stream as a close without error. */
  #lossOf(error: Error | undefined, local: boolean): Error | undefined {
    if (error === undefined) {
      if (this.#remoteClosed || this.#closing) return undefined
      return new ConnectionLostError(this.remotePeer, 'the connection closed')
    }
    const reason = local ? error.message : 'the peer reset the stream'
    return new ConnectionLostError(this.remotePeer, reason, { cause: error })
  }

  #reportEnd(): void {
    const report = this.#onClose
    if (this.#end === undefined || report === undefined || this.#held.length > 0) return
    this.#onClose = ignore
    report(this.#end.error)
  }
}
