import type { AndthenError, Clock } from '../base/index.ts'
import { type Fault, ServerFaultError, type SpanSession } from '../inference/index.ts'
import {
  type EquivocationProof,
  findEquivocation,
  isSignedByServer,
  type Mismatch,
  type Receipt,
  readStatement,
  type VerifySignature,
  WireError
} from '../wire/index.ts'
import { EVIDENCE_MS } from './constants.ts'

type MismatchFault = Extract<Fault, { kind: 'mismatch' }>

/** What two neighbours that disagree can be shown to have done. */
export type Verdict =
  | { readonly kind: 'proof'; readonly proof: EquivocationProof }
  /** One of them has no valid receipt for what it says. */
  | { readonly kind: 'fault'; readonly peerId: string; readonly error: AndthenError }
  /** One of them lies; which one cannot be told. */
  | { readonly kind: 'undecided' }

/** Waits for what the downstream server has to say, where it has not said it: it was told the right digest just now. */
export function awaitMismatch(session: SpanSession, clock: Clock): Promise<Mismatch | null> {
  return new Promise(resolve => {
    const cancel = clock.after(EVIDENCE_MS, () => resolve(null))
    const settle = (mismatch: Mismatch | null): void => {
      cancel()
      resolve(mismatch)
    }
    session.listen({
      onOutput: () => null,
      onTensor: () => undefined,
      onNeedCopy: () => undefined,
      onMismatch: settle,
      onEnd: () => settle(null)
    })
  })
}

/**
 * Weighs what the upstream server told the client against what the downstream one was given with the push.
 *
 * @param names the upstream server's peer id
 */
export function weigh(
  fault: Pick<MismatchFault, 'output' | 'mismatch'>,
  names: { upstream: string },
  verify: VerifySignature
): Verdict {
  const told = fault.output?.receipts[0] ?? null
  const pushed = fault.mismatch?.upstreamReceipt ?? null
  if (fault.output !== null && !isValid(told, names.upstream, verify))
    return blame(names.upstream, 'answered a step without a valid receipt')
  // A push is used before its receipt's signature is checked, so an honest server may come to hold a forged one.
  if (pushed !== null && !isValid(pushed, names.upstream, verify)) return { kind: 'undecided' }
  if (told === null || pushed === null) return { kind: 'undecided' }
  const proof = findEquivocation(told, pushed, verify)
  return proof === null ? { kind: 'undecided' } : { kind: 'proof', proof }
}

function blame(peerId: string, what: string): Verdict {
  return { kind: 'fault', peerId, error: new ServerFaultError(peerId, what) }
}

function isValid(receipt: Receipt | null, server: string, verify: VerifySignature): boolean {
  if (receipt === null) return false
  try {
    return readStatement(receipt).server === server && isSignedByServer(receipt, verify)
  } catch (error) {
    if (error instanceof WireError) return false
    throw error
  }
}
