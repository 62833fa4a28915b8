import { equalBytes, readStatement, type Push, WireError } from '../../../wire/index.ts'
import type { SpanFacts } from '../facts.ts'

/** What a push must agree with. */
export interface PushExpectation {
  readonly facts: SpanFacts
  readonly owner: string
  /** Peer id of the session's upstream, which the connection has proven. */
  readonly upstream: string
  /** Of its session, as this session's owner named it; empty: not named. */
  readonly incarnation: Uint8Array
}

/** Why a push was dropped before it reached the race. */
export type RejectedReason =
  | 'unknown-session'
  | 'foreign-peer'
  | 'not-attached'
  | 'no-credit'
  | 'shape'
  | 'expired'
  | 'digest'
  | 'receipt'

/**
 * Whether a push is what it says: its digest is that of the bytes, and its receipt says that the upstream computed just
 * these for this session's owner, in the session that the owner has there: a receipt of another is no proof of anything
 * beside what the owner was told. The signature is not looked at here: it takes longer than a hop may.
 */
export function checkPush(push: Push, digest: Uint8Array, expected: PushExpectation): RejectedReason | null {
  if (!equalBytes(push.digest, digest)) return 'digest'
  const { facts, owner, upstream, incarnation } = expected
  try {
    const said = readStatement(push.receipt)
    const names =
      said.server === upstream &&
      said.owner === owner &&
      said.to === facts.from &&
      said.epoch === push.epoch &&
      said.step === push.step &&
      said.position === push.position &&
      said.n === push.n &&
      (incarnation.length === 0 || equalBytes(said.incarnation, incarnation)) &&
      equalBytes(said.modelDigest, facts.modelDigest) &&
      equalBytes(said.outputDigest, digest)
    return names ? null : 'receipt'
  } catch (thrown) {
    if (thrown instanceof WireError) return 'receipt'
    throw thrown
  }
}
