import type { Stream } from '@libp2p/interface'
import { MAX_RELAYED_BYTES } from './constants.ts'

/** What of libp2p's relay is used here: methods of its class, though not of its type. */
interface HopServer {
  /** Answers who wants to be connected, and joins the two streams. */
  handleConnect(hop: { readonly stream: { unwrap(): Stream } }, options: unknown): Promise<void>
  /** The stream to whom he wants. */
  stopHop(...offer: unknown[]): Promise<Stream | undefined>
}

/**
 * Makes a relay take from one end no more than the other end reads, but for `MAX_RELAYED_BYTES` and what a window holds then.
 * libp2p's own takes all that comes, and keeps what the other end does not read, and of who asked what it does read, too: up to
 * all that one connection may carry.
 *
 * @throws TypeError where it is another version, which would not be bounded
 */
export function boundRelayed(relay: object): void {
  if (!isHopServer(relay)) throw new TypeError("libp2p's relay has no handleConnect or stopHop")
  const { handleConnect } = relay
  relay.handleConnect = (hop, options) => {
    let to: Stream | undefined
    const scope = Object.create(relay, {
      stopHop: { value: async (...offer: unknown[]) => (to = await relay.stopHop(...offer)) }
    }) as HopServer
    const unwrap = hop.stream.unwrap.bind(hop.stream)
    hop.stream.unwrap = () => {
      const from = unwrap()
      if (to !== undefined) {
        holdBack(from, to)
        holdBack(to, from)
        hearOnce(from)
      }
      return from
    }
    return handleConnect.call(scope, hop, options)
  }
}

function isHopServer(relay: object): relay is HopServer {
  return (
    'handleConnect' in relay &&
    typeof relay.handleConnect === 'function' &&
    'stopHop' in relay &&
    typeof relay.stopHop === 'function'
  )
}

interface Windowed extends Stream {
  sendWindowUpdate(): void
}

/** Grants who sends on `from` nothing more while too much of it waits for `to`. */
function holdBack(from: Stream, to: Stream): void {
  if (!isWindowed(from)) throw new TypeError("yamux' stream has no sendWindowUpdate")
  const grant = from.sendWindowUpdate.bind(from)
  const send = to.send.bind(to)
  let waiting = 0
  let held = false
  from.addEventListener('message', ({ data }) => {
    waiting += data.byteLength
  })
  from.sendWindowUpdate = () => {
    held = waiting > MAX_RELAYED_BYTES
    if (!held) grant()
  }
  to.send = data => {
    waiting -= data.byteLength
    const more = send(data)
    if (held && waiting <= MAX_RELAYED_BYTES && from.status === 'open') from.sendWindowUpdate()
    return more
  }
}

function isWindowed(stream: Stream): stream is Windowed {
  return 'sendWindowUpdate' in stream
}

type Listen = EventTarget['addEventListener']

/**
 * libp2p makes a pipe from `from` to the other end and back, and hears `from` at both ends of it, each time for its messages
 * and then for the end of them. The last one only sends: what it hears is read by nobody, and would be kept for as long as the
 * stream is there.
 */
function hearOnce(from: Stream): void {
  const listen = from.addEventListener.bind(from) as Listen
  let last: Parameters<Listen>[1] | undefined
  let ends = 0
  const hear: Listen = (type, listener, options) => {
    listen(type, listener, options)
    if (type === 'message') last = listener
    if (type !== 'remoteCloseWrite' || ++ends < 2 || last === undefined) return
    ;(from as EventTarget).removeEventListener('message', last)
    from.addEventListener = listen as Stream['addEventListener']
  }
  from.addEventListener = hear as Stream['addEventListener']
}
