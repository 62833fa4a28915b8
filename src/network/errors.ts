import { AndthenError, type ErrorOptions } from '../base/index.ts'

/** Why a peer could not be reached. */
export type UnreachableReason =
  | 'refused'
  | 'timeout'
  | 'no-route'
  | 'no-address'
  | 'wrong-peer'
  | 'denied'
  | 'self'
  | 'relay'
  | 'closed'
  | 'too-many'
  | 'failed'

const advice: Record<UnreachableReason, string> = {
  refused: 'nothing listens there; check the port, and that the node runs',
  timeout: 'no answer; check the address and firewalls between',
  'no-route': 'no way leads there: the host is off, a firewall says no, or this machine has no such network, as IPv6',
  'no-address': 'no address of it is known, or its name does not resolve; check the name, and give a whole address',
  'wrong-peer': 'another peer answers there; the address is out of date',
  denied: 'it may not be dialled from here',
  self: 'that is this very node',
  relay: 'the relay before it cannot be reached, or holds no place for it',
  closed: 'it hung up: it may be full or be dialled too often, or not let this peer in; check its lists and swarm key',
  'too-many': 'too many connections or dials are open; raise the limit or try later',
  failed: 'the handshake failed; check that it is an andthen node, and of the same swarm key'
}

const retryable: ReadonlySet<UnreachableReason> = new Set([
  'refused',
  'timeout',
  'no-route',
  'failed',
  'too-many',
  'relay',
  'closed'
])

/** No connection to a peer; `details` has `peer`, `addresses` and `reason`. */
export class PeerUnreachableError extends AndthenError {
  override readonly name = 'PeerUnreachableError'
  readonly reason: UnreachableReason

  constructor(peer: string, addresses: readonly string[], reason: UnreachableReason, options: ErrorOptions = {}) {
    const where = addresses.length === 0 ? '' : ` at ${addresses.join(', ')}`
    super('PEER_UNREACHABLE', `peer ${peer} cannot be reached${where} (${reason}): ${advice[reason]}`, {
      retryable: retryable.has(reason),
      ...options,
      details: { peer, addresses, reason, ...options.details }
    })
    this.reason = reason
  }
}

/** The peer answers, but does not speak this protocol. */
export class ProtocolNotSupportedError extends AndthenError {
  override readonly name = 'ProtocolNotSupportedError'
  constructor(peer: string, protocol: string, options: ErrorOptions = {}) {
    super(
      'PROTOCOL_NOT_SUPPORTED',
      `peer ${peer} does not support ${protocol}: is it an andthen server, and current?`,
      {
        ...options,
        details: { peer, protocol, ...options.details }
      }
    )
  }
}

/** A stream or its connection ended before it was closed: reset, or the peer's process or link died. */
export class ConnectionLostError extends AndthenError {
  override readonly name = 'ConnectionLostError'
  constructor(peer: string, reason: string, options: ErrorOptions = {}) {
    super('CONNECTION_LOST', `connection to peer ${peer} was lost: ${reason}`, {
      retryable: true,
      ...options,
      details: { peer, reason, ...options.details }
    })
  }
}

/** The network of this process is closed, or closing. */
export class NetworkClosedError extends AndthenError {
  override readonly name = 'NetworkClosedError'
  constructor(options: ErrorOptions = {}) {
    super('NETWORK_CLOSED', 'the network is closed', options)
  }
}

/** Nothing could be listened on. */
export class ListenError extends AndthenError {
  override readonly name = 'ListenError'
  constructor(address: string, reason: string, options: ErrorOptions = {}) {
    super('LISTEN_FAILED', `cannot listen on ${address}: ${reason}`, {
      ...options,
      details: { address, reason, ...options.details }
    })
  }
}

/** An identity file that must not be used, or cannot be; `details.file` names it. */
export class IdentityError extends AndthenError {
  override readonly name = 'IdentityError'
  constructor(file: string, problem: string, options: ErrorOptions = {}) {
    super('IDENTITY', `identity file ${file} ${problem}`, { ...options, details: { file, ...options.details } })
  }
}

/** A peer, or its host with all its peers, asks for more than its share; `details` has `peer`, `what` and `retryAfterMs`. */
export class RateLimitedError extends AndthenError {
  override readonly name = 'RateLimitedError'
  constructor(peer: string, what: 'streams' | 'bytes' | 'pushes in vain', retryAfterMs: number) {
    super('RATE_LIMITED', `peer ${peer}, or its host, is over its limit of ${what}: try again in ${retryAfterMs} ms`, {
      retryable: true,
      details: { peer, what, retryAfterMs }
    })
  }
}
