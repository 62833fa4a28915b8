import type { Stream } from '@libp2p/interface'
import { MAX_WAITING_PING_BYTES } from './constants.ts'

/**
 * Answers pings on a stream (libp2p's `/ipfs/ping/1.0.0`: 32 bytes there and back, as often as the other end likes). It takes no
 * lease: being alive is no use. (libp2p's own queues all that comes, without a bound, while who sends it does not read.)
 */
export function answerPings(stream: Stream): void {
  const end = (why: string): void => stream.abort(new Error(why))
  const close = (): void => void stream.close().catch(() => end('not closed in time'))
  stream.addEventListener('message', ({ data }) => {
    if (stream.writeStatus !== 'writable') return
    try {
      stream.send(data)
    } catch {
      // The connection beneath it is closing, and nobody hears what an event's listener throws but the process.
      return end('the connection is closing')
    }
    if (stream.writeBufferLength > MAX_WAITING_PING_BYTES) end('more pings than are read')
  })
  stream.addEventListener('remoteCloseWrite', close)
  if (stream.remoteWriteStatus === 'closed') close()
}
