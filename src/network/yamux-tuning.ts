import type { MessageStream, Stream, StreamMuxer, StreamMuxerFactory } from '@libp2p/interface'
import { yamux } from '@libp2p/yamux'
import {
  MAX_FRAME_BYTES,
  MAX_INBOUND_FRAME_BYTES,
  MAX_READ_BUFFER_BYTES,
  MAX_SEND_BUFFER_BYTES,
  MAX_STREAM_WINDOW_BYTES,
  MAX_STREAMS,
  MAX_WAITING_PIECES
} from './constants.ts'

/**
 * libp2p's yamux, with five changes that its options do not offer. They reach into fields of the pinned version; where
 * a field is not there, nothing is changed, which costs speed but not correctness. The tests watch that they are there.
 *
 * - A frame is buffered whole before its length is checked against the window, so a stranger could declare one of 4 GiB
 *   and fill our memory: a connection that holds more than `MAX_INBOUND_FRAME_BYTES` of an unfinished frame is ended.
 * - Pings, streams that are one too many and small pieces of data are answered at once, also to who reads no answer: a connection
 *   for which more than `MAX_WAITING_PIECES` wait is ended.
 * - What is answered so is told, as the event `ANSWERED`, so that somebody may count it beside streams.
 * - Windows start at the specification's 256 KiB and grow over several round trips, which a prefill would wait for:
 *   `tuneStream` grants the whole window at once. Each message received is answered by a window update, which costs a
 *   packet a token: it is sent only when half of the window is used up.
 * - What waits to be sent becomes one frame as large as the window: it is cut, so that other streams get a turn.
 */
export function tunedYamux(): () => StreamMuxerFactory {
  const create = yamux({
    maxInboundStreams: MAX_STREAMS,
    maxOutboundStreams: MAX_STREAMS,
    // Streams that arrive before libp2p has finished the connection; its default of 10 ends a busy one at birth.
    maxEarlyStreams: MAX_STREAMS,
    streamOptions: { maxReadBufferLength: MAX_READ_BUFFER_BYTES, maxWriteBufferLength: MAX_SEND_BUFFER_BYTES }
  })
  return () => {
    const factory = create()
    return {
      protocol: factory.protocol,
      createStreamMuxer(connection) {
        const muxer = factory.createStreamMuxer(connection)
        boundFrames(connection, muxer)
        boundAnswers(connection)
        tellAnswers(muxer)
        return muxer
      }
    }
  }
}

function boundFrames(connection: MessageStream, muxer: StreamMuxer): void {
  const { decoder } = muxer as { decoder?: { buffer?: { byteLength: number } } }
  const unfinished = decoder?.buffer
  if (unfinished === undefined) return
  connection.addEventListener('message', () => {
    if (unfinished.byteLength <= MAX_INBOUND_FRAME_BYTES) return
    connection.abort(new Error(`a frame of more than ${MAX_INBOUND_FRAME_BYTES} bytes was sent`))
  })
}

function boundAnswers(connection: MessageStream): void {
  const { writeBuffer } = connection as { writeBuffer?: { bufs?: readonly Uint8Array[] } }
  if (writeBuffer?.bufs === undefined) return
  connection.addEventListener('message', () => {
    if ((writeBuffer.bufs?.length ?? 0) <= MAX_WAITING_PIECES) return
    connection.abort(new Error(`more than ${MAX_WAITING_PIECES} answers wait unread`))
  })
}

/** Of a multiplexer: it answers a ping, or refuses a stream since there are as many as may be. */
export const ANSWERED = 'andthen:answered'

const SYN = 1

interface Answering {
  readonly streams: readonly unknown[]
  handlePing(header: { readonly flag: number }): void
  incomingStream(id: number): void
}

function isAnswering(muxer: object): muxer is Answering {
  return 'handlePing' in muxer && 'incomingStream' in muxer && 'streams' in muxer
}

function tellAnswers(muxer: StreamMuxer): void {
  if (!isAnswering(muxer)) return
  const tell = (): boolean => (muxer as EventTarget).dispatchEvent(new Event(ANSWERED))
  const handlePing = muxer.handlePing.bind(muxer)
  const incomingStream = muxer.incomingStream.bind(muxer)
  muxer.handlePing = header => {
    handlePing(header)
    if (header.flag === SYN) tell()
  }
  muxer.incomingStream = id => {
    const before = muxer.streams.length
    incomingStream(id)
    if (muxer.streams.length === before) tell()
  }
}

interface YamuxStream extends Stream {
  recvWindow: number
  recvWindowCapacity: number
  maxMessageSize: number
  sendWindowUpdate(): void
}

function isYamux(stream: Stream): stream is YamuxStream {
  return 'recvWindow' in stream && 'recvWindowCapacity' in stream && 'sendWindowUpdate' in stream
}

/** Grants the peer the whole window and cuts what we send; for a stream whose protocol both ends agreed on. */
export function tuneStream(stream: Stream): void {
  if (!isYamux(stream) || stream.status !== 'open') return
  stream.recvWindow = MAX_STREAM_WINDOW_BYTES
  stream.sendWindowUpdate()
  const update = stream.sendWindowUpdate.bind(stream)
  stream.sendWindowUpdate = () => {
    if (stream.recvWindowCapacity < stream.recvWindow / 2) update()
  }
  let frameBytes = Math.min(stream.maxMessageSize, MAX_FRAME_BYTES)
  Object.defineProperty(stream, 'maxMessageSize', {
    get: () => frameBytes,
    set: (bytes: number) => {
      frameBytes = Math.min(bytes, MAX_FRAME_BYTES)
    }
  })
}
