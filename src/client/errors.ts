import { AndthenError, counted, type ErrorOptions } from '../base/index.ts'
import type { BlockRange } from '../model/index.ts'

/** `2-4`: blocks 2 and 3. */
function rangeText({ from, to }: BlockRange): string {
  return `${from}-${to}`
}

/** Servers that were lost and did not come back. */
export interface LostServers {
  readonly peerIds: readonly string[]
  /** For how long, ms. */
  readonly waitedMs: number
}

/** What else is known of why nobody fills them. */
export interface WhyNotCovered {
  readonly lost?: LostServers | null
  /** Peers that could not be asked what they serve. @default 0 */
  readonly unasked?: number
}

/**
 * No servers tile the model; `details.missing` lists the ranges that would. Where there were some that are lost, `details.lost`
 * has their peer ids, and `details.waitedMs` how long they were waited for; where peers could not be asked, `details.unasked`
 * is how many, and `cause` why the first could not.
 */
export class BlocksNotCoveredError extends AndthenError {
  override readonly name = 'BlocksNotCoveredError'
  constructor(missing: readonly BlockRange[], options: ErrorOptions = {}, why: WhyNotCovered = {}) {
    const { lost = null, unasked = 0 } = why
    const ranges = missing.map(rangeText)
    const blocks = ranges.join(' and ')
    const commands = ranges.map(range => `node bin/serve --blocks ${range}`).join(' and ')
    const others = unasked === 0 ? '' : `, or see why ${counted(unasked, 'peer')} could not be asked`
    const message =
      lost === null
        ? `no server among the peers fills blocks ${blocks}: start one with ${commands}${others}`
        : `no server among the peers fills blocks ${blocks} any more (${lost.peerIds.join(' and ')}; waited ` +
          `${Math.round(lost.waitedMs / 1000)} s): start it again, or another one with ${commands}`
    super('BLOCKS_NOT_COVERED', message, {
      retryable: true,
      ...options,
      details: {
        missing: ranges,
        ...(lost !== null && { lost: lost.peerIds, waitedMs: Math.round(lost.waitedMs) }),
        ...(unasked > 0 && { unasked }),
        ...options.details
      }
    })
  }
}

/** Peers serve another model than the client's. */
export class ModelMismatchError extends AndthenError {
  override readonly name = 'ModelMismatchError'
  constructor(peers: readonly { peerId: string; model: string }[], model: string) {
    const others = peers.map(peer => `${peer.peerId} serves "${peer.model}"`).join(', ')
    super(
      'MODEL_MISMATCH',
      `the peers serve another model than "${model}" (${others}): give --model the folder that they serve`,
      {
        details: { model, peers }
      }
    )
  }
}

/** Prompt and continuation do not fit what the servers hold for a session. */
export class PromptTooLongError extends AndthenError {
  override readonly name = 'PromptTooLongError'
  constructor(promptTokens: number, newTokens: number, maxLength: number) {
    super(
      'LENGTH_EXCEEDED',
      `${counted(promptTokens, 'token')} of prompt and ${newTokens} to generate are more than the ${maxLength} that these servers hold: ` +
        'shorten the prompt, lower --max-new-tokens, or serve with a larger --max-length',
      { details: { promptTokens, newTokens, maxLength } }
    )
  }
}

/** One server of a chain failed while the chain was built or rebuilt; `cause` says how. */
export class HopError extends AndthenError {
  override readonly name = 'HopError'
  readonly peerId: string
  override readonly cause: AndthenError
  constructor(peerId: string, cause: AndthenError) {
    super(cause.code, cause.message, { retryable: cause.retryable, details: cause.details, cause })
    this.peerId = peerId
    this.cause = cause
  }
}

/** A server takes on no route like this one, now or later: it was to run the servers behind it, and serves all the same. */
export class RouteRefusedError extends AndthenError {
  override readonly name = 'RouteRefusedError'
  constructor(cause: AndthenError) {
    super(cause.code, cause.message, { details: cause.details, cause })
  }
}

/**
 * The connection to a server was lost while it was replayed to, and is back. Its session is as it was; which of the steps that
 * were under way it has computed is seen when it is rewound.
 */
export class ReplayInterruptedError extends AndthenError {
  override readonly name = 'ReplayInterruptedError'
  constructor(peer: string) {
    super(
      'INTERRUPTED',
      `the connection to peer ${peer} was lost again and again while it was replayed to: is the link good?`,
      {
        retryable: true,
        details: { peer }
      }
    )
  }
}
