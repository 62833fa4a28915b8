import type { AndthenError } from '../base/index.ts'
import { ServerFaultError } from '../inference/index.ts'
import {
  equalBytes,
  type EquivocationProof,
  findEquivocation,
  isSignedBy,
  type Receipt,
  readStatement,
  type VerifySignature,
  WireError
} from '../wire/index.ts'

/** What the upstream server's receipt for an answer must say. */
export interface Answer {
  /** Of the client's session there. */
  readonly incarnation: Uint8Array
  readonly epoch: number
  readonly step: number
  readonly outputDigest: Uint8Array
}

/** The upstream server's receipts for one step. */
export interface Evidence {
  /** As it came with the answer; null: with an answer none came; undefined: there is no answer yet. */
  readonly told: Receipt | null | undefined
  /** As it came with the push; null: the downstream server shows none. */
  readonly pushed: Receipt | null
  /** What it answered the client itself; a receipt of something else convicts nobody, and must not pass for one. */
  readonly answer?: Answer | undefined
}

/** What two neighbours that disagree can be shown to have done. */
export type Verdict =
  | { readonly kind: 'proof'; readonly proof: EquivocationProof }
  /** One of them has no valid receipt for what it says. */
  | { readonly kind: 'fault'; readonly peerId: string; readonly error: AndthenError }
  /** One of them lies; which one cannot be told. */
  | { readonly kind: 'undecided' }

/**
 * Weighs what the upstream server told the client against what the downstream one was given with the push.
 *
 * @param names the upstream server, by its peer id
 */
export function weigh(
  { told, pushed, answer }: Evidence,
  { upstream }: { upstream: string },
  verify: VerifySignature
): Verdict {
  if (told !== undefined && !(isValid(told, upstream, verify) && (answer === undefined || isOf(answer, told))))
    return blame(upstream, 'answered a step without a valid receipt')
  // A push is used before its receipt's signature is checked, so an honest server may come to hold a forged one.
  if (pushed !== null && !isValid(pushed, upstream, verify)) return { kind: 'undecided' }
  if (told == null || pushed === null) return { kind: 'undecided' }
  const proof = findEquivocation(told, pushed, verify)
  return proof === null ? { kind: 'undecided' } : { kind: 'proof', proof }
}

function blame(peerId: string, what: string): Verdict {
  return { kind: 'fault', peerId, error: new ServerFaultError(peerId, what) }
}

/** A valid receipt is of this answer. */
function isOf({ incarnation, epoch, step, outputDigest }: Answer, receipt: Receipt): boolean {
  const said = readStatement(receipt)
  return (
    said.epoch === epoch &&
    said.step === step &&
    equalBytes(said.incarnation, incarnation) &&
    equalBytes(said.outputDigest, outputDigest)
  )
}

function isValid(receipt: Receipt | null, server: string, verify: VerifySignature): receipt is Receipt {
  if (receipt === null) return false
  try {
    return readStatement(receipt).server === server && isSignedBy(server, receipt, verify)
  } catch (error) {
    if (error instanceof WireError) return false
    throw error
  }
}
