/**
 * A stream of bytes to and from one peer. It reports by callbacks, set once by its owner: what arrives before they are
 * set waits. A stream ends as a whole: once either end closes it, the other flushes what it has and closes too.
 */
export interface PeerStream {
  readonly remotePeer: string
  /** Where it is, as limits count it: its address, of public IPv6 the /64; through a relay, or a host that many share, each peer for itself. */
  readonly remoteHost: string
  readonly protocol: string
  /** Bytes given to `send` that the connection has not taken yet. */
  readonly bufferedBytes: number
  /** More should not be sent before `onDrain`. */
  readonly writableNeedsDrain: boolean
  /** Bytes as they arrive, in pieces of any length; the memory is the receiver's to keep. */
  onData: (chunk: Uint8Array) => void
  /** What was buffered is on its way: `send` may go on. */
  onDrain: () => void
  /** The end, once: without error when either end closed the stream, with one when it broke (ConnectionLostError) or was aborted. */
  onClose: (error?: Error) => void
  /**
   * Sends the parts one after the other, uncopied: they must stay as they are until they are sent, which is certain
   * when it returned true, or once `bufferedBytes` is 0. False: over the high-water mark; wait for `onDrain`. On a
   * stream that has ended nothing happens.
   */
  send(parts: readonly Uint8Array[]): boolean
  /** Flushes, closes both ways and resolves when the other end has done so too; what still arrives is dropped. */
  close(): Promise<void>
  /** Resets the stream at once; `onClose` gets the error. */
  abort(error: Error): void
}
