import { randomBytes } from 'node:crypto'
import { type AndthenError, CancelledError, type Clock, type Logger, TimeoutError } from '../../base/index.ts'
import type { Network, PeerStream, PeerTarget } from '../../network/index.ts'
import {
  Codec,
  INFERENCE_PROTOCOL,
  KEY_BYTES,
  PROTOCOL_VERSION,
  type Route,
  VerifyPolicy,
  type VerifyPolicyName
} from '../../wire/index.ts'
import { OPEN_TIMEOUT_MS } from './constants.ts'
import { RemoteError, ServerFaultError, SessionTerminatedError } from './errors.ts'
import { OwnerStream } from './owner-stream.ts'
import { SpanSession } from './span-session.ts'

export interface OpenSessionComponents {
  network: Pick<Network, 'openStream'>
  logger: Logger
  clock: Clock
}

export interface OpenSessionInit {
  peer: PeerTarget
  /** 32 bytes. */
  modelDigest: Uint8Array
  /** Blocks `from` to `to - 1`: all that the server serves. */
  from: number
  to: number
  /** Tokens that the session will hold at most. */
  maxLength: number
  verify: VerifyPolicyName
  /** The servers after this one, which it is to be the client of. */
  route?: Route | undefined
  /** Bytes of the longest output that will be asked for. */
  maxTensorBytes: number
  /** For the stream, for the grant, and again for each sign of life from a server's backlog. @default 10 s */
  timeoutMs?: number
}

/**
 * Opens a session on a server. While the server keeps it in its backlog, the promise waits.
 *
 * @throws RemoteError with the server's code (`BUSY`, `MODEL_MISMATCH`, ...), PeerUnreachableError,
 * ProtocolNotSupportedError, ConnectionLostError, TimeoutError, CancelledError
 */
export async function openSession(
  { network, logger, clock }: OpenSessionComponents,
  init: OpenSessionInit,
  options: { signal?: AbortSignal | undefined } = {}
): Promise<SpanSession> {
  const timeoutMs = init.timeoutMs ?? OPEN_TIMEOUT_MS
  const stream = await network.openStream(init.peer, INFERENCE_PROTOCOL, { signal: options.signal, timeoutMs })
  const session = await requestSession(stream, clock, { ...init, timeoutMs }, options.signal)
  logger.debug({ peer: session.peerId, blocks: [init.from, init.to], credit: session.credit }, 'session opened')
  return session
}

function requestSession(
  peerStream: PeerStream,
  clock: Clock,
  init: OpenSessionInit & { timeoutMs: number },
  signal: AbortSignal | undefined
): Promise<SpanSession> {
  const { timeoutMs } = init
  return new Promise((resolve, reject) => {
    const onTimeout = (): void => stream.abort(new TimeoutError('opening a session', timeoutMs, { details: { peer } }))
    const onAbort = (): void => stream.abort(new CancelledError('opening a session'))
    let cancel = clock.after(timeoutMs, onTimeout)
    const settle = (): void => {
      cancel()
      signal?.removeEventListener('abort', onAbort)
    }
    const onEnd = (error: AndthenError): void => {
      settle()
      reject(error)
    }
    const stream = new OwnerStream(
      peerStream,
      {
        onMessage(message) {
          switch (message.kind) {
            case 'opened':
              settle()
              resolve(new SpanSession({ clock, stream }, message.value))
              break
            case 'queued':
              cancel()
              cancel = clock.after(timeoutMs, onTimeout)
              break
            case 'error':
              stream.abort(new RemoteError(peer, message.value))
              break
            case 'terminated':
              stream.abort(new SessionTerminatedError(peer, message.value))
              break
            default:
              stream.abort(new ServerFaultError(peer, `sent "${message.kind}" before it opened the session`))
          }
          return null
        },
        onTensor: () => undefined,
        onEnd
      },
      init
    )
    const peer = stream.peerId
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted === true) onAbort()
    stream.send({
      kind: 'open',
      value: {
        version: PROTOCOL_VERSION,
        modelDigest: init.modelDigest,
        from: init.from,
        to: init.to,
        id: randomBytes(KEY_BYTES),
        maxLength: init.maxLength,
        codec: Codec.f32,
        verify: VerifyPolicy[init.verify],
        ...(init.route === undefined ? {} : { route: init.route })
      }
    })
  })
}
