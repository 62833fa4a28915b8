import { AndthenError, TimeoutError } from '../base/index.ts'
import {
  ConnectionLostError,
  PeerUnreachableError,
  ProtocolNotSupportedError,
  type UnreachableReason
} from './errors.ts'

/** A failed dial, as our error. libp2p wraps: the causes of all addresses are looked through. */
export function dialError(peer: string, addresses: readonly string[], error: unknown): AndthenError {
  if (error instanceof AndthenError && !(error instanceof TimeoutError)) return error
  return new PeerUnreachableError(peer, addresses, reasonOf(error), { cause: error })
}

function reasonOf(error: unknown): UnreachableReason {
  const reasons = causesOf(error).map(one => reasonOfOne(one))
  // Of several addresses the one that got furthest tells most.
  const telling: UnreachableReason[] = [
    ...(['wrong-peer', 'self', 'denied', 'too-many', 'closed', 'relay', 'refused'] as const),
    ...(['timeout', 'no-route', 'no-address'] as const)
  ]
  return telling.find(reason => reasons.includes(reason)) ?? 'failed'
}

function causesOf(error: unknown): unknown[] {
  return error instanceof AggregateError ? error.errors.flatMap(causesOf) : [error]
}

function reasonOfOne(error: unknown): UnreachableReason {
  if (!(error instanceof Error)) return 'failed'
  // What is ours is of another peer than the one that was dialled: of the relay before it.
  if (error instanceof PeerUnreachableError) return error.reason === 'too-many' ? 'too-many' : 'relay'
  if (error instanceof ProtocolNotSupportedError) return 'relay'
  if (/failed to connect via relay/.test(error.message)) return 'relay'
  if ('code' in error && typeof error.code === 'string' && error.code in byErrno) {
    return byErrno[error.code as keyof typeof byErrno]
  }
  const named = byName[error.name]
  if (named !== undefined) return named
  // The upgrader keeps only the message of what went wrong in a handshake.
  if (/does not match expected remote identity key/.test(error.message)) return 'wrong-peer'
  if (/aborted due to timeout/.test(error.message)) return 'timeout'
  return /Unexpected EOF|ECONNRESET|EPIPE|stream that is clos/.test(error.message) ? 'closed' : 'failed'
}

const byErrno = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'closed',
  EPIPE: 'closed',
  ETIMEDOUT: 'timeout',
  EHOSTUNREACH: 'no-route',
  ENETUNREACH: 'no-route',
  ENOTFOUND: 'no-address',
  EAI_AGAIN: 'no-address'
} as const satisfies Record<string, UnreachableReason>

const byName: Record<string, UnreachableReason | undefined> = {
  TimeoutError: 'timeout',
  AbortError: 'timeout',
  ConnectionClosedError: 'closed',
  NoValidAddressesError: 'no-address',
  NotFoundError: 'no-address',
  DialDeniedError: 'denied',
  ConnectionInterceptedError: 'denied',
  InvalidPeerIdError: 'self',
  UnexpectedPeerError: 'wrong-peer'
}

/** A stream that could not be opened on a connection, as our error. */
export function openError(peer: string, protocol: string, error: unknown): AndthenError {
  if (error instanceof AndthenError) return error
  if (error instanceof Error && error.name === 'UnsupportedProtocolError') {
    return new ProtocolNotSupportedError(peer, protocol, { cause: error })
  }
  const reason = error instanceof Error ? error.message : String(error)
  return new ConnectionLostError(peer, `no ${protocol} stream could be opened: ${reason}`, { cause: error })
}
