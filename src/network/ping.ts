import { randomBytes } from 'node:crypto'
import { PING_BYTES } from './constants.ts'
import { ConnectionLostError } from './errors.ts'
import type { PeerStream } from './peer-stream.ts'

/** Sends random bytes on an open ping stream and times their return, in ms. */
export function measurePing(stream: PeerStream): Promise<number> {
  const sent = randomBytes(PING_BYTES)
  const start = performance.now()
  return new Promise((resolve, reject) => {
    let received = 0
    stream.onClose = error => reject(error ?? new ConnectionLostError(stream.remotePeer, 'it closed before the pong'))
    stream.onData = chunk => {
      if (!sent.subarray(received, received + chunk.byteLength).equals(chunk)) {
        stream.abort(new ConnectionLostError(stream.remotePeer, 'the pong was not the ping'))
        return
      }
      received += chunk.byteLength
      if (received === PING_BYTES) resolve(performance.now() - start)
    }
    stream.send([sent])
  })
}
