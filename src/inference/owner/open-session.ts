import { randomBytes } from 'node:crypto'
import type { Clock, Logger } from '../../base/index.ts'
import type { Network, PeerTarget } from '../../network/index.ts'
import {
  Codec,
  INFERENCE_PROTOCOL,
  KEY_BYTES,
  type Outgoing,
  type OwnerMessage,
  PROTOCOL_VERSION,
  type Route,
  VerifyPolicy,
  type VerifyPolicyName
} from '../../wire/index.ts'
import { beginStream } from './begin-stream.ts'
import { OPEN_TIMEOUT_MS, RESUME_TIMEOUT_MS } from './constants.ts'
import { SpanSession } from './span-session.ts'
import type { Reconnect } from './way-back.ts'

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
  /** Below 0 it gives way to others; above, others give way, on servers that know their clients. @default 0 */
  priority?: number | undefined
  /** The servers after this one, which it is to be the client of. */
  route?: Route | undefined
  /** Bytes of the longest output that will be asked for. */
  maxTensorBytes: number
  /** For the stream, for the grant, and again for each sign of life from a server's backlog. @default 10 s */
  timeoutMs?: number
  /**
   * For how long to try to come back to the session when the connection is lost, ms: asked then. With 0 it is tried once.
   * @default 0
   */
  resumeMs?: () => number
}

export interface OpenSessionOptions {
  signal?: AbortSignal | undefined
  /** The server keeps the session in its backlog; called again with each sign of life. */
  onQueued?: (() => void) | undefined
}

/**
 * Opens a session on a server. While the server keeps it in its backlog, the promise waits.
 *
 * @throws RemoteError with the server's code (`BUSY`, `MODEL_MISMATCH`, ...), PeerUnreachableError,
 * ProtocolNotSupportedError, ConnectionLostError, TimeoutError, CancelledError
 */
export async function openSession(
  components: OpenSessionComponents,
  init: OpenSessionInit,
  options: OpenSessionOptions = {}
): Promise<SpanSession> {
  const { network, logger, clock } = components
  const { peer, maxTensorBytes, timeoutMs = OPEN_TIMEOUT_MS, resumeMs = () => 0 } = init
  const id = randomBytes(KEY_BYTES)
  const stream = await network.openStream(peer, INFERENCE_PROTOCOL, { signal: options.signal, timeoutMs })
  const session = await beginStream(
    stream,
    openMessage(id, init),
    (answer, stream) =>
      answer.kind === 'opened'
        ? new SpanSession(
            { clock, logger, stream, reconnect: reconnecting(components, init, id) },
            { opened: answer.value, resumeMs }
          )
        : undefined,
    components,
    { timeoutMs, maxTensorBytes, phase: 'opening a session', onQueued: options.onQueued },
    options.signal
  )
  logger.debug({ peer: session.peerId, blocks: [init.from, init.to], credit: session.credit }, 'session opened')
  return session
}

/** The way back to this session, whatever became of the stream that it was opened on. */
function reconnecting(components: OpenSessionComponents, init: OpenSessionInit, id: Uint8Array): Reconnect {
  const { network, clock } = components
  const { peer, maxTensorBytes } = init
  return async (resume, adopt, signal) => {
    const until = clock.now() + RESUME_TIMEOUT_MS
    const stream = await network.openStream(peer, INFERENCE_PROTOCOL, { signal, timeoutMs: RESUME_TIMEOUT_MS })
    await beginStream(
      stream,
      { kind: 'resume', value: { ...resume, id } },
      (answer, stream) => {
        if (answer.kind !== 'resumed') return undefined
        adopt(stream, answer.value)
        return stream
      },
      components,
      { timeoutMs: Math.max(0, until - clock.now()), maxTensorBytes, phase: 'resuming a session' },
      signal
    )
  }
}

function openMessage(id: Uint8Array, init: OpenSessionInit): Outgoing<OwnerMessage> {
  const { modelDigest, from, to, maxLength, verify, priority = 0, route } = init
  return {
    kind: 'open',
    value: {
      version: PROTOCOL_VERSION,
      modelDigest,
      from,
      to,
      id,
      maxLength,
      priority,
      codec: Codec.f32,
      verify: VerifyPolicy[verify],
      ...(route === undefined ? {} : { route })
    }
  }
}
