import { CancelledError, type Clock, systemClock, TimeoutError, toAndthenError } from '../../base/index.ts'
import { ConnectionLostError, type Network, type PeerStream, type PeerTarget } from '../../network/index.ts'
import { INFO_PROTOCOL, type Info, infoMessage, WireError } from '../../wire/index.ts'
import { INFO_TIMEOUT_MS, MAX_INFO_BYTES } from './constants.ts'

export interface AskInfoOptions {
  signal?: AbortSignal
  /** For all of it: dial, handshakes and the answer. @default 10 s */
  timeoutMs?: number
  /** @default systemClock */
  clock?: Clock
}

/**
 * Asks a peer what it serves.
 *
 * @throws PeerUnreachableError, ProtocolNotSupportedError, ConnectionLostError, WireError, TimeoutError, CancelledError
 */
export async function askInfo(
  network: Pick<Network, 'openStream'>,
  peer: PeerTarget,
  options: AskInfoOptions = {}
): Promise<Info> {
  const { signal, timeoutMs = INFO_TIMEOUT_MS, clock = systemClock } = options
  const started = clock.now()
  const stream = await network.openStream(peer, INFO_PROTOCOL, { signal, timeoutMs })
  const abort = (error: Error): void => stream.abort(error)
  const onAbort = (): void => abort(new CancelledError('info'))
  signal?.addEventListener('abort', onAbort, { once: true })
  const left = Math.max(1, timeoutMs - (clock.now() - started))
  const cancel = clock.after(left, () => abort(new TimeoutError('info', timeoutMs)))
  try {
    return infoMessage.decode(await readMessage(stream))
  } catch (error) {
    if (error instanceof WireError) abort(error)
    throw error
  } finally {
    cancel()
    signal?.removeEventListener('abort', onAbort)
  }
}

/** The bytes of `uvarint(length), message`. */
function readMessage(stream: PeerStream): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    let message: Uint8Array | null = null
    let length = 0
    let shift = 0
    let filled = 0
    const begin = (byte: number): void => {
      length += (byte & 0x7f) * 2 ** shift
      shift += 7
      if (length > MAX_INFO_BYTES || shift > 28)
        throw new WireError('FRAME_TOO_LARGE', `an Info of ${length} bytes; at most ${MAX_INFO_BYTES} are read`)
      if (byte < 0x80) message = new Uint8Array(length)
    }
    stream.onData = chunk => {
      try {
        let at = 0
        while (message === null && at < chunk.length) begin(chunk[at++] ?? 0)
        if (message === null) return
        const piece = chunk.subarray(at, at + message.length - filled)
        message.set(piece, filled)
        filled += piece.length
        if (filled === message.length) resolve(message)
      } catch (error) {
        reject(toAndthenError(error))
      }
    }
    stream.onClose = error =>
      reject(error ?? new ConnectionLostError(stream.remotePeer, 'it closed before it said what it serves'))
  })
}
